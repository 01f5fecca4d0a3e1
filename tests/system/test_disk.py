"""Full and read-only disks, quotas, and files where folders are needed.

Each gives one clear line and leaves no incomplete file that is trusted later; the same command resumes with more room.
"""

import ctypes
import os
import re
import resource
import shutil
import subprocess
import sys
import zlib

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from disk_run import STAGES, Run
from small_disk import Disk

from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.embedding import recipe
from pipeline.inspection.verify import verify
from stages.__main__ import main

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
RUN = "dot_lr1e-3_bs4"
OF_A_RUN = STAGES[4:6]
LEFTOVERS = re.compile(r"\.tmp|\.partial$|\.new$|\.old$|\.holder$")


@pytest.fixture
def disk(tmp_path):
    made = Disk(tmp_path / "disk")
    yield made
    made.unmount()


def stub_network(embedding, saved, outputs):
    files.write_json(saved.with_name("embedding_network.json"), recipe.weights(embedding))

    def network(lightness):
        return {"embedding": np.tile(lightness.mean(axis=(1, 2))[:, None], 1000).astype(np.float32)}

    return network


@pytest.fixture
def call(monkeypatch):
    """Call a stage in-process in a folder."""
    from pipeline.embedding import embed

    monkeypatch.setattr(embed, "_load", stub_network)
    monkeypatch.setattr(embed, "_weights", None)  # another test of this process may have loaded others
    monkeypatch.delenv("DEEPCOLOR_CONFIG", raising=False)

    def call(folder, stage, *arguments):
        monkeypatch.chdir(folder)
        named = [stage, *([RUN] if stage in OF_A_RUN else []), *arguments]
        return CliRunner().invoke(main, list(map(str, named)))

    return call


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("run"))


def bytes_of(folder):
    """The bytes that equal runs have in common."""
    return {
        name: content
        for name, content in tiny.tree(folder).items()
        if not re.search(r"times\.csv|checkpoint|\.lost$", name)
    }


def leftovers(folder):
    return [path for path in folder.rglob("*") if LEFTOVERS.search(path.name)]


def unfinished(folder):
    """Check that nothing is damaged; return the names of missing manifests."""
    try:
        _, found = verify([folder])
    except InputError:  # there is not even a store that was begun
        return set()
    assert [str(damage) for damage in found if not damage.wrong.startswith("missing: ")] == []
    return {damage.path.name for damage in found}


def last_line(result):
    """Return the error's line, which must be the last."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert result.exit_code == 2 and len(lines) == 1 and result.stderr.rstrip().endswith(lines[0]), result.stderr
    assert "Traceback" not in result.stderr and "Exception ignored" not in result.stderr
    return lines[0]


FULL = re.compile(r"error: (data|models|results)/[^ ]*: No space left on device; make room there")
SOME = [stage if stage in STAGES[:3] else pytest.param(stage, marks=pytest.mark.long) for stage in STAGES]


def fails_on_a_full_disk_then_goes_on(call, disk, capfd, sizes, before, whole, stage, *arguments):
    failed = 0
    for size in sizes:
        disk.remount("size=64m")
        disk.fill(before)
        disk.leave(size)
        result = call(disk.path, stage, *arguments)
        if result.exit_code:
            failed += 1
            assert FULL.match(last_line(result)), result.stderr
        disk.remount("size=64m")
        if result.exit_code:
            assert leftovers(disk.path) == []
            assert len(unfinished(disk.path)) <= 1
        result = call(disk.path, stage, *arguments)
        assert result.exit_code == 0, result.stderr
        assert bytes_of(disk.path) == whole
        assert capfd.readouterr() == ("", ""), size
    return failed


def some(stage, need, count, seed=0):
    """Return 0 and random sizes up to the need, in KiB."""
    rng = np.random.default_rng((seed, zlib.crc32(stage.encode())))
    return [0, *rng.integers(0, need, count).tolist()]


def kib(folder):
    return sum(-(-path.stat().st_size // 4096) * 4 for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("again", [False, pytest.param(True, marks=pytest.mark.long)], ids=["first", "again"])
@pytest.mark.parametrize("stage", SOME)
def test_a_full_disk(keras, call, disk, run, capfd, stage, again):
    """Repeat the stage on finished output."""
    before, after = run.before(stage, call), run.after(stage, call)
    sizes = some(stage, kib(after) - kib(before), 1)
    capfd.readouterr()
    failed = fails_on_a_full_disk_then_goes_on(
        call, disk, capfd, sizes, after if again else before, bytes_of(after), stage
    )
    assert failed or again


def test_a_full_disk_under_a_folder_of_photographs(call, disk, run, tmp_path, capfd):
    before = run.folder / "before ingest"
    after = shutil.copytree(before, tmp_path / "whole")
    arguments = ("ingest", "--dataset", "photos")
    assert call(after, *arguments).exit_code == 0
    capfd.readouterr()
    whole = bytes_of(after)
    # The scratch pixels take room too.
    sizes = some("photos", kib(after) - kib(before) + 900, 4)
    assert fails_on_a_full_disk_then_goes_on(call, disk, capfd, sizes, before, whole, *arguments)


@pytest.mark.slow
def test_images_mapped_from_a_full_disk(keras, call, disk, run):
    """Without space, writing to a mapped page would end the process (SIGBUS)."""
    disk.fill(run.before("train", call))
    disk.leave(700)
    result = call(disk.path, "train", "--set", "training.memory_gib=0.001")
    assert last_line(result).startswith(f"error: models/{RUN}: No space left on device"), result.stderr
    disk.remount("size=64m")
    assert call(disk.path, "train", "--set", "training.memory_gib=0.001").exit_code == 0
    assert bytes_of(disk.path).keys() == bytes_of(run.after("train", call)).keys()


@pytest.mark.long
@pytest.mark.parametrize("stage", ["ingest", "train", "evaluate"])
def test_a_process_on_a_full_disk_says_one_line_until_its_very_end(keras, call, disk, run, stage):
    before, after = run.before(stage, call), run.after(stage, call)
    for size in some(f"{stage} process", kib(after) - kib(before), 2):
        disk.remount("size=64m")
        disk.fill(before)
        disk.leave(size)
        named = [stage, RUN] if stage in OF_A_RUN else [stage]
        done = subprocess.run(
            [sys.executable, "-m", "stages", *named], cwd=disk.path, env={**os.environ, "PYTHONPATH": str(tiny.ROOT)},
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        said = [line for line in done.stderr.splitlines() if not re.match(r"epoch |train: decoded|.*: \d+ of ", line)]
        assert done.returncode == 2 and len(said) == 1 and FULL.match(said[0]), done.stderr


@pytest.mark.parametrize("stage", SOME)
def test_a_read_only_disk(keras, call, disk, run, stage):
    disk.fill(run.before(stage, call))
    before = tiny.tree(disk.path)
    disk.remount("ro")
    line = last_line(call(disk.path, stage))
    assert re.match(r"error: (data|models|results)[^ ]*: Read-only file system; make it writable, or ", line), line
    disk.remount("rw")
    assert tiny.tree(disk.path) == before


@pytest.mark.parametrize("stage", SOME)
def test_a_quota_for_single_files(keras, call, run, tmp_path, stage):
    """Python ignores SIGXFSZ, so the write fails."""
    folder = shutil.copytree(run.before(stage, call), tmp_path / "here")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, old[1]))
    try:
        result = call(folder, stage)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    line = last_line(result)
    assert re.match(r"error: (data|models|results)/[^ ]*: File too large; .*raise the limit \(ulimit -f\)", line), line
    assert leftovers(folder) == []
    unfinished(folder)
    result = call(folder, stage)
    assert result.exit_code == 0, result.stderr
    assert bytes_of(folder) == bytes_of(run.after(stage, call))


def bound_by_permissions():
    """Deny root in the new process to override permissions (CAP_DAC_OVERRIDE)."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)


def test_a_folder_that_may_not_be_written(call, run, tmp_path):
    folder = shutil.copytree(run.before("split", call), tmp_path / "here")
    (folder / "data" / "kaggle").chmod(0o555)
    done = subprocess.run(
        [sys.executable, "-m", "stages", "split"], cwd=folder, env={**os.environ, "PYTHONPATH": str(tiny.ROOT)},
        capture_output=True, text=True, timeout=300, preexec_fn=bound_by_permissions,
    )  # fmt: skip
    (folder / "data" / "kaggle").chmod(0o755)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert re.match(r"error: [^ ]*/data/kaggle/[^ ]*: Permission denied; make it writable, or ", done.stderr)


@pytest.mark.parametrize(
    ("stage", "file", "arguments"),
    [
        ("ingest", "data", ()),
        ("ingest", "data/kaggle", ()),
        ("ingest", "data/kaggle/images.zarr", ()),
        ("split", "data/kaggle/splits.csv/x", ("--splits", "data/kaggle/splits.csv/x/splits.csv")),
        ("train", "elsewhere", ("--set", "root=elsewhere")),
        ("train", "models", ()),
        ("train", f"models/{RUN}", ()),
        pytest.param("evaluate", "results", (), marks=pytest.mark.long),
        pytest.param("evaluate", f"results/{RUN}", (), marks=pytest.mark.long),
        pytest.param("report", "results", (), marks=pytest.mark.long),
    ],
)
def test_a_file_where_a_folder_is_needed(keras, call, run, tmp_path, stage, file, arguments):
    folder = shutil.copytree(run.before(stage, call), tmp_path / "here")
    files.remove(folder / file)
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text("mine")
    before = tiny.tree(folder)
    line = last_line(call(folder, stage, *arguments))
    assert file in line and "; " in line and "Errno" not in line, line
    assert tiny.tree(folder) == before


def test_a_shard_that_was_half_written_is_removed(call, run, tmp_path):
    folder = shutil.copytree(run.after("ingest", call), tmp_path / "here")
    shard = next((folder / "data/kaggle/images.zarr/L/c/0").rglob("0"))
    shard.with_suffix(".ab12.partial").write_bytes(b"half")
    assert call(folder, "ingest").exit_code == 0
    assert bytes_of(folder) == bytes_of(run.after("ingest", call))


@pytest.mark.parametrize(
    ("stage", "broken", "setting"),
    [
        ("ingest", "pipeline.dataset.sources.arrays.np.array", "workers"),
        ("baselines", "numpy.stack", "evaluation.batch_size"),
    ],
)
def test_too_little_memory_is_one_line_too(call, run, tmp_path, monkeypatch, stage, broken, setting):
    folder = shutil.copytree(run.before(stage, call), tmp_path / "here")

    def no_memory(*arguments, **options):
        raise MemoryError("Unable to allocate 9. TiB for an array")

    with monkeypatch.context() as patched:
        patched.setattr(broken, no_memory)
        line = last_line(call(folder, stage))
    assert f"{stage}: out of memory (Unable to allocate 9. TiB for an array); lower {setting}" in line
