"""Calls of snakemake on a tiny dataset."""

import os
import subprocess
import sys
from pathlib import Path

import snakemake_forks
import yaml
from tiny import DOT, ROOT, photographs, write_kaggle

from pipeline.config import loading
from pipeline.config.paths import Paths

RUN = "dot_lr1e-3_bs4"


class Workflow:
    """A place of its own for what the workflow makes, and calls of snakemake on it."""

    def __init__(self, folder: Path):
        self.folder = folder
        values = {
            "dataset": "tiny",
            "datasets": {"tiny": {"kind": "kaggle", "path": str(folder / "archive")}},
            # Snakemake takes a slash at the end off relative targets only.
            "root": os.path.relpath(folder, ROOT),
            "data": os.path.relpath(folder / "data", ROOT),
            "images_per_shard": 8,
            "architectures": {name: value.model_dump() for name, value in DOT.items()},
            "experiments": {
                "plain": {"architecture": "dot", "learning_rate": 1e-3, "embedding": False, "training": {"epochs": 1}}
            },
            "training": {"epochs": 2, "checkpoint_seconds": 0},
            "evaluation": {"pictures": 2, "recognition": None},
        }
        self.configfile = folder / "tiny.yaml"
        self.configfile.write_text(yaml.safe_dump(values))
        self.config = loading.load_config([self.configfile])
        self.places = Paths(self.config.model_copy(update={"root": str(folder), "data": str(folder / "data")}))
        write_kaggle(folder / "archive", *photographs(15), [4, 9])

    def __call__(self, *arguments, status=0, cwd=ROOT, fork=True):
        """Call snakemake, in a fork or as a user does; what it printed."""
        arguments = ["--cores", "2", *map(str, arguments)]
        returned, text = snakemake_forks.call(arguments, cwd) if fork else self.command(arguments, cwd)
        assert returned == status, text
        return text

    def command(self, arguments, cwd):
        """Call the command `snakemake`; its exit code and what it printed."""
        command = [Path(sys.executable).with_name("snakemake"), *arguments]
        done = subprocess.run(
            command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300
        )
        return done.returncode, done.stdout

    def run(self, *arguments, target=None, **options):
        target = target or self.result(RUN)
        return self(target, "--configfile", self.configfile, *arguments, **options)

    def result(self, name):
        return Path(os.path.relpath(self.folder, ROOT)) / "results" / name

    def jobs(self, text):
        """The rules that a dry run would run."""
        return {line.split()[1].rstrip(":") for line in text.splitlines() if line.startswith(("rule ", "localrule "))}
