"""After a kill at any moment, the same command gives the bytes of an undisturbed call."""

import itertools
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from tiny import DOT, ROOT, photographs, tree, write_embeddings, write_kaggle

from pipeline.storage.layouts import IMAGES
from pipeline.storage.store import Store

RUN = "dot_lr1e-3_bs4"
STAGES = ("ingest", "split", "embed", "features", "train", "baselines", "evaluate", "summary", "report")
WRITES = {  # whose lock shows that a stage is at work
    "ingest": "data/tiny/images.zarr", "embed": "data/tiny/embeddings.zarr", "split": "data/tiny/splits.csv",
    "features": "data/tiny/features.zarr", "baselines": "data/tiny/baselines.csv",
    "train": f"models/{RUN}", "evaluate": f"results/{RUN}",
}  # fmt: skip
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# The stages, with numbers of their own in the place of the network's answers, and without Keras.
WITHOUT_NETWORK = """
import sys
from types import SimpleNamespace
import numpy as np
from pipeline.embedding import embed
from pipeline.networks import backend

ROWS = {"embedding": (1000,), "map_14": (14, 14, 112), "map_7": (7, 7, 320)}

def network(embedding, saved, outputs):
    def answers(lightness):
        for _ in lightness:
            sum(i * i for i in range(100_000))  # takes its time
        pixels = lightness.reshape(len(lightness), -1)
        return {
            name: pixels[:, : np.prod(ROWS[name])].reshape(-1, *ROWS[name]).astype(np.float32) for name in outputs
        }
    return answers

embed._network = network
sys.modules["pipeline.embedding.network"] = SimpleNamespace(
    weights_known=lambda *_: True, weights_facts=lambda *_: {"weights": "random"}
)
backend.start = lambda *_: None
backend.facts = lambda: {"keras": "tensorflow", "precision": "float32", "threads": 2}
sys.argv[0] = "stages"
from stages.__main__ import main
main(prog_name="python -m stages")
"""


class Chain:
    """The stages in one folder, and the files of each when undisturbed."""

    def __init__(self, folder):
        self.folder = folder / "here"
        self.states = folder / "states"
        self.seconds = {}
        write_kaggle(folder / "archive", *photographs(40), [4, 21])
        self.config = folder / "tiny.yaml"
        values = {
            "dataset": "tiny",
            "datasets": {"tiny": {"kind": "kaggle", "path": str(folder / "archive")}},
            "root": str(self.folder),
            "data": str(self.folder / "data"),
            "images_per_shard": 8,
            "architectures": {name: value.model_dump() for name, value in DOT.items()},
            "training": {"epochs": 6, "checkpoint_seconds": 0.2},
            "evaluation": {"pictures": 2, "recognition": None},
        }
        self.config.write_text(yaml.safe_dump(values))
        (self.states / "nothing").mkdir(parents=True)

    def start(self, stage):
        run = {"train": [RUN], "evaluate": [RUN], "features": ["map_14", "map_7"]}.get(stage, [])
        how = ["-c", WITHOUT_NETWORK] if stage in ("embed", "features") else ["-m", "stages"]
        return subprocess.Popen(
            [sys.executable, *how, stage, *run, "--config", self.config],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            # A job in the background would ignore Ctrl-C, and so would its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip

    def finish(self, stage):
        process = self.start(stage)
        printed, _ = process.communicate(timeout=300)
        assert process.returncode == 0, printed
        return printed

    def work_begins(self, stage, process):
        """Wait until a stage holds its lock."""
        target = self.folder / WRITES.get(stage, "results/.none")
        holder = target.with_name(f".{target.name}.holder")
        while stage in WRITES and not holder.exists() and process.poll() is None:
            time.sleep(0.002)

    def before(self, stage):
        return self.states / (STAGES[STAGES.index(stage) - 1] if stage != STAGES[0] else "nothing")

    def put(self, state):
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(state, self.folder)

    def after(self, stage):
        """Return the files after an undisturbed stage."""
        state = self.states / stage
        if not state.exists():
            if stage != STAGES[0]:
                self.after(STAGES[STAGES.index(stage) - 1])
            self.put(self.before(stage))
            process = self.start(stage)
            self.work_begins(stage, process)
            began = time.monotonic()
            printed, _ = process.communicate(timeout=300)
            assert process.returncode == 0, printed
            self.seconds[stage] = time.monotonic() - began
            shutil.copytree(self.folder, state)
        return state

    def killed(self, stage, share, number):
        """Start a stage, send it a signal after a fraction of its duration, and return its output."""
        self.after(stage)
        self.put(self.before(stage))
        process = self.start(stage)
        self.work_begins(stage, process)
        time.sleep(share * self.seconds[stage])
        process.send_signal(number)
        printed, _ = process.communicate(timeout=60)
        # The last one: before its first line, or after its last.
        assert process.returncode in (0, {signal.SIGTERM: 143, signal.SIGINT: 130}.get(number), -number), printed
        return printed


def made(folder):
    """Return the files of the stages, except times, checkpoints and notes, which differ between calls."""
    found = tree(folder)
    return {
        name: found[name] for name in found if not any(part in name for part in ("times.csv", "checkpoint", ".lost"))
    }


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    return Chain(tmp_path_factory.mktemp("chain"))


def moments():
    """Return stages, fractions of their duration and signals: three for every run of the tests, and 24 seeded ones."""
    yield "ingest", 0.5, signal.SIGKILL
    yield "features", 0.5, signal.SIGKILL
    rng = np.random.default_rng(2026)
    for number in range(24):
        stage = STAGES[number % len(STAGES)]
        yield pytest.param(stage, round(float(rng.uniform()), 3), SIGNALS[int(rng.integers(3))], marks=pytest.mark.long)


@pytest.mark.parametrize(("stage", "share", "number"), list(moments()))
def test_a_stage_killed_at_any_moment_leaves_the_same_bytes_in_the_end(chain, stage, share, number):
    whole = made(chain.after(stage))
    printed = chain.killed(stage, share, number)
    assert "Traceback" not in printed
    chain.finish(stage)
    assert made(chain.folder).keys() == whole.keys()
    assert [name for name, content in made(chain.folder).items() if content != whole[name]] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "numbers", [(signal.SIGKILL, signal.SIGTERM), pytest.param(SIGNALS * 2, marks=pytest.mark.long)]
)
def test_training_killed_again_and_again_ends_as_if_it_had_not_been(chain, numbers):
    """Return weights, optimizer state, order of the epochs, history and best weights."""
    whole = made(chain.after("train"))
    chain.put(chain.before("train"))
    rng = np.random.default_rng(len(numbers))
    for number, epoch in zip(numbers, sorted(rng.integers(1, 4, len(numbers))), strict=True):
        process = chain.start("train")
        begun = [f"epoch {later} of 6" for later in range(epoch, 7)]
        printed = list(itertools.takewhile(lambda line, begun=begun: not line.startswith((*begun,)), process.stdout))
        time.sleep(float(rng.uniform(0, 0.1)))
        process.send_signal(number)
        assert "Traceback" not in "".join([*printed, process.stdout.read()])
        assert process.wait(60) in (-number, 128 + number)
    assert "resuming after epoch" in chain.finish("train")
    assert [name for name, content in made(chain.folder).items() if content != whole[name]] == []
    one, other = (
        np.load(folder / "models" / RUN / "checkpoint.npz") for folder in (chain.folder, chain.after("train"))
    )
    assert sorted(one) == sorted(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
def test_a_workflow_killed_at_any_moment_is_completed_by_the_same_command(tmp_path_factory, chain, seed):
    """Kill `snakemake` and repeat the command at once, while its stages may still be running."""
    command = [
        Path(sys.executable).with_name("snakemake"), "--cores", "2", chain.folder / "results" / RUN,
        "--configfile", chain.config,
    ]  # fmt: skip

    def start():
        return subprocess.Popen(
            [*map(str, command)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip

    def fresh():
        chain.put(chain.after("ingest"))
        write_embeddings(
            Store(chain.folder / "data" / "tiny" / "images.zarr", IMAGES),
            chain.folder / "data" / "tiny" / "embeddings.zarr",
        )

    if not hasattr(chain, "workflow"):
        fresh()
        began = time.monotonic()
        process = start()
        printed, _ = process.communicate(timeout=600)
        assert process.returncode == 0, printed
        chain.workflow = time.monotonic() - began, made(chain.folder)
    seconds, whole = chain.workflow
    fresh()
    rng = np.random.default_rng(seed)
    for number in (SIGNALS[seed % 3], SIGNALS[int(rng.integers(3))]):
        process = start()
        time.sleep(float(rng.uniform(0.1, 0.9)) * seconds)
        process.send_signal(number)
        process.communicate(timeout=120)
    process = start()
    printed, _ = process.communicate(timeout=600)
    assert process.returncode == 0, printed
    without_logs = [
        {n: c for n, c in files.items() if not n.startswith("logs/")} for files in (made(chain.folder), whole)
    ]
    assert without_logs[0].keys() == without_logs[1].keys()
    assert [name for name, content in without_logs[0].items() if content != without_logs[1][name]] == []
