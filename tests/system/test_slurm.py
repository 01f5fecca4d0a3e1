"""The SLURM profile, with stand-ins for SLURM's commands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from flow import RUN, Workflow
from tiny import ROOT, write_embeddings

from pipeline.dataset.ingest import ingest

# A job is run at once by `sbatch` itself, which keeps its own command line.
SBATCH = """#!{python}
import os, re, subprocess, sys
from pathlib import Path
folder = Path("{folder}")
number = 1 + len(list(folder.glob("*.call")))
(folder / f"{{number}}.call").write_text("\\n".join(sys.argv[1:]))
(wrapped,) = [each[len("--wrap="):] for each in sys.argv[1:] if each.startswith("--wrap=")]
log = open(folder / f"{{number}}.out", "w")
done = subprocess.run(wrapped, shell=True, stdout=log, stderr=log, env={{**os.environ, "SLURM_JOB_ID": str(number)}})
(folder / f"{{number}}.state").write_text("FAILED" if done.returncode else "COMPLETED")
print(number)
"""
SACCT = """#!/bin/sh
case "$*" in *Account*) exit 0;; esac
cd {folder}
for state in *.state; do echo "${{state%.state}}|$(cat $state)"; done
"""
SRUN = """#!/bin/sh
while [ "${{1#-}}" != "$1" ]; do shift; done
exec "$@"
"""
OTHERS = {
    "sinfo": 'printf "PARTITION\\nshort*\\n"',
    "scontrol": "echo MinJobAge = 300 sec",
    "squeue": "",
    "scancel": "",
}


@pytest.mark.long
def test_the_slurm_profile_asks_for_what_the_jobs_need(tmp_path):
    # Not in the lock: Snakemake would import it at every start.
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="the extra slurm is not installed")
    slurm = tmp_path / "slurm"
    slurm.mkdir()
    scripts = {"sbatch": SBATCH, "sacct": SACCT, "srun": SRUN}
    scripts |= {name: f"#!/bin/sh\n{text}\n".replace("{", "{{").replace("}", "}}") for name, text in OTHERS.items()}
    for name, text in scripts.items():
        (slurm / name).write_text(text.format(python=sys.executable, folder=slurm))
        (slurm / name).chmod(0o755)
    flow = Workflow(tmp_path)
    ingest(flow.config.datasets["tiny"], flow.places.images, images_per_shard=8)
    write_embeddings(flow.places.images, flow.places.embeddings.path)
    target = flow.result(RUN).parents[1] / "models" / RUN / "training.json"
    done = subprocess.run(
        [Path(sys.executable).with_name("snakemake"), target, "--workflow-profile", "workflow/profiles/slurm",
         "--configfile", flow.configfile, "--slurm-init-seconds-before-status-checks", "1",
         "--seconds-between-status-checks", "1", "--slurm-logdir", slurm / "logs", "-R", "embed"],
        cwd=ROOT, env={**os.environ, "PATH": f"{slurm}:{os.environ['PATH']}"}, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    outputs = "\n".join(path.read_text() for path in slurm.glob("*.out"))
    assert done.returncode == 0, done.stdout + done.stderr + outputs
    assert flow.places.model(RUN).joinpath("training.json").exists()
    calls = {}
    for path in slurm.glob("*.call"):
        call = path.read_text().split("\n")
        calls[call[call.index("--comment") + 1].partition("_wildcards")[0]] = " ".join(call)
    assert set(calls) == {"rule_embed", "rule_split", "rule_train"}
    for rule, memory, minutes in (("split", 8000, 120), ("embed", 16000, 720), ("train", 16000, 1440)):
        call = calls[f"rule_{rule}"]
        assert f" --mem {memory} " in call and f" -t {minutes} " in call and " -p short " in call
        assert ("--gpus=1" in call) == (rule != "split")
