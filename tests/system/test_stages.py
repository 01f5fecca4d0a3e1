"""The stage commands: help without heavy imports, one line on bad input, and a complete run."""

import json
import signal
from importlib import import_module

import pytest
from click.testing import CliRunner
from tiny import RESULT_FILES, photographs, python, refused, tree, write_embeddings, write_kaggle

from pipeline.storage.layouts import IMAGES
from pipeline.storage.store import Store
from stages.__main__ import main, names

RUN = "dot_lr1e-3_bs4"


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Call a stage in-process, in an empty folder: without config/config.yaml the defaults hold."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEEPCOLOR_CONFIG", raising=False)

    def call(*arguments):
        return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="python -m stages")

    return call


def test_the_list_of_stages_is_in_the_order_of_the_data(call):
    result = call("--help")
    assert result.exit_code == 0
    places = [result.stdout.index(f"\n  {name} ") for name in names()]
    assert places == sorted(places)
    assert "..." not in result.stdout.split("Commands:")[1]  # no summary is too long for its line
    data = {"ingest", "embed", "features", "split", "baselines"}
    runs = {"train", "evaluate", "summary", "sweep", "search", "report", "publish", "colorize", "export", "serve"}
    about = {"compare", "table", "pictures", "show", "new", "config", "smoke", "inspect", "verify", "clean", "doctor"}
    assert set(names()) == data | runs | about


@pytest.mark.parametrize("name", names())
def test_every_stage_has_help(call, name):
    result = call(name, "--help")
    assert result.exit_code == 0 and result.stdout.startswith(f"Usage: python -m stages {name}")
    assert import_module(f"stages.{name}").command.name == name
    alone = CliRunner().invoke(import_module(f"stages.{name}").command, ["--help"])
    assert alone.exit_code == 0 and "--help" in alone.stdout


def test_help_imports_nothing_heavy():
    code = f"""
import sys
from click.testing import CliRunner
from stages.__main__ import main
for arguments in [["--help"], *([name, "--help"] for name in {names()!r})]:
    assert CliRunner().invoke(main, arguments).exit_code == 0, arguments
heavy = ("tensorflow", "keras", "numpy", "zarr", "dask", "pydantic", "skimage", "matplotlib", "rich", "pandas")
heavy += ("onnx", "onnxruntime", "tf2onnx", "ai_edge_litert")
print(sorted(set(heavy) & set(sys.modules)))
"""
    done = python("-c", code)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_an_unknown_stage_is_refused(call):
    result = call("embedd")
    assert result.exit_code == 2 and "No such command 'embedd'" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["ingest", "--set", "limit=-1"], ["limit: ", "received -1"]),
        (["ingest", "--set", "limits=1"], ["limits: unknown key"]),
        (["ingest", "--set", "limit"], ["expected KEY=VALUE"]),
        (["ingest", "--config", "absent.yaml"], ["absent.yaml: "]),
        (["ingest", "--dataset", "kaggle"], ["dataset: expected one of sample, received 'kaggle'"]),
        (["ingest", "--set", "datasets.sample={kind: kaggle, path: nowhere}"], ["nowhere: expected a folder"]),
        (["embed"], ["images.zarr: ", "images.json is missing; run `ingest`"]),
        (["split"], ["images.zarr: ", "images.json is missing; run `ingest`"]),
        (["baselines"], ["images.zarr: ", "images.json is missing; run `ingest`"]),
        (["train", "base"], ["run name 'base': expected <architecture>_lr"]),
        (["train", "base_lr0.0001"], ["'base_lr1e-4'"]),
        (["train", "arch7_lr1e-4"], ["architecture 'arch7': expected one of base, arch1, arch2, arch3"]),
        (["train", "base_lr1e-4"], ["images.zarr: ", "images.json is missing; run `ingest`"]),
        (["evaluate", "base_lr1e-4_bs5"], ["'base_lr1e-4'"]),
        (["evaluate", "base_lr1e-4"], ["images.zarr: ", "images.json is missing; run `ingest`"]),
        (["evaluate", "../x"], ["run name '../x': expected <architecture>_lr"]),
        (["compare", "a", "b"], ["a: expected the results of a run, but there is no run.yaml"]),
        (["inspect", "nothing.zarr"], ["nothing.zarr: expected a zarr store of DeepColor"]),
        (["verify"], ["data: expected files that DeepColor wrote, received none"]),
    ],
)  # fmt: skip
def test_bad_input_ends_with_one_line_and_status_2_and_nothing_written(call, tmp_path, arguments, expected):
    refused(call(*arguments), *expected)
    assert not list(tmp_path.iterdir())


def test_a_broken_configuration_file_is_refused(call, tmp_path):
    (tmp_path / "mine.yaml").write_text("limit: !!timestamp x\n")
    refused(call("ingest", "--config", "mine.yaml"), "mine.yaml: expected a YAML file")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


@pytest.mark.parametrize("content", ["garbage", "{}", '{"zarr_format": 3, "node_type": "group"}'])
def test_garbage_is_not_inspected(call, tmp_path, content):
    (tmp_path / "x.zarr").mkdir()
    (tmp_path / "x.zarr" / "zarr.json").write_text(content)
    refused(call("inspect", "x.zarr"), "x.zarr: expected a")
    (tmp_path / "file").write_text(content)
    refused(call("inspect", "file"), "file: expected a")


def test_inspect_shows_what_one_wants_to_know_first(call, dataset):
    result = call("inspect", dataset.images.path)
    assert result.exit_code == 0, result.stderr
    size = sum(path.stat().st_size for path in (dataset.images.path / "ab" / "c").rglob("*") if path.is_file())
    lightness = dataset.images.read("L", 0, 15)
    for text in (
        "images, complete, 2 of 2 shards finished",
        "(15, 224, 224, 2) uint8 (image, y, x, channel)",
        "(4, 224, 224) in shards of (8, 224, 224)",
        "zstd", "sharding_indexed",
        f"{size / 1e6:.2f} MB of {15 * 224 * 224 * 2 / 1e6:.2f} MB raw",
        f"{lightness.min()} to {lightness.max()}, mean {lightness.mean():.4g}",
        '"kind": "kaggle"',
    ):  # fmt: skip
        assert text in result.stdout, text
    described = json.loads(call("inspect", dataset.images.path, "--json").stdout)
    assert described["arrays"]["L"]["bytes_raw"] == 15 * 224 * 224
    assert described["arrays"]["L"]["mean"] == pytest.approx(lightness.mean())


def test_inspect_tells_what_is_missing(call, dataset):
    dataset.embeddings.shard_file("embedding", 1).unlink()
    dataset.embeddings.manifest_path.unlink()
    result = call("inspect", dataset.embeddings.path)
    assert result.exit_code == 0
    assert "embeddings, NOT COMPLETE, 1 of 2 shards finished" in result.stdout


@pytest.mark.parametrize("broken", ["split", "train"])
def test_a_damaged_input_is_named(call, dataset, broken):
    path = dataset.images.shard_file("ab", 1) if broken == "train" else dataset.folder / "index.csv"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    before = tree(dataset.folder)
    arguments = ["train", RUN, "--set", DOT_SETTING] if broken == "train" else ["split"]
    result = call(*arguments, "--set", "datasets.tiny={kind: sample}", "--set", "dataset=tiny")
    assert result.exit_code == 2
    assert "is damaged" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert tree(dataset.folder) == before


def test_only_stages_that_keep_parts_of_their_work_promise_to_resume():
    said = {name: import_module(f"stages.{name}").command._stopped(signal.SIGINT) for name in names()}
    resuming = {name for name, text in said.items() if text.endswith("resumes from there")}
    assert resuming == {"ingest", "embed", "features", "train", "search", "colorize"}
    assert said["pictures"] == "pictures: interrupted; nothing is half-written, and the same command starts again"
    assert said["smoke"] == "smoke: interrupted; nothing was kept"


def test_pictures_are_not_written_among_photographs(call, tmp_path):
    (tmp_path / "photos").mkdir()
    folder = ("--set", "dataset=own", "--set", "datasets={own: {kind: folder, path: photos}}")
    refused(call("pictures", "base_lr1e-4", "--out", "photos/out", *folder), "photos/out", "training images")
    refused(call("pictures", "base_lr1e-4", "--out", "gone/..", *folder), "gone/.. exists", "another --out")
    assert [*(tmp_path / "photos").iterdir()] == []


DOT_SETTING = "architectures.dot={encoder: 4/2 4/2 4/2, fusion: '1x1:4', decoder: 4 ^ 4 ^ 2 ^}"


@pytest.mark.slow
def test_a_whole_run_by_stage_commands(keras, call, tmp_path):
    write_kaggle(tmp_path / "archive", *photographs(9), [2, 5])
    (tmp_path / "mine.yaml").write_text(
        "dataset: kaggle\ndatasets: {kaggle: {kind: kaggle, path: archive}}\nimages_per_shard: 8\n"
        "embedding: {batch_size: 3}\nsplit: {train: 0.34, validation: 0.33, test: 0.33}\n"
        "training: {epochs: 2}\nevaluation: {pictures: 2}\n"
    )
    config = ("--config", "mine.yaml", "--set", DOT_SETTING)

    def done(*arguments):
        result = call(*arguments, *config)
        assert result.exit_code == 0, result.stderr
        return result.stderr

    assert "9 images in 2 shards (2 written, 0 unchanged)" in done("ingest")
    assert "9 images in 2 shards (0 written, 2 unchanged)" in done("ingest")
    write_embeddings(Store(tmp_path / "data/kaggle/images.zarr", IMAGES), tmp_path / "data/kaggle/embeddings.zarr")
    assert "split: train 3, validation 3, test 3" in done("split")
    done("baselines")
    assert "epoch 2 of 2" in done("train", RUN)
    assert f"{RUN}, test images:\n  RMSE " in done("evaluate", RUN)
    assert {path.name for path in (tmp_path / "results" / RUN).iterdir()} == RESULT_FILES
    assert "3 test images" in done("pictures", RUN, "--out", "pictures")
    assert len([*(tmp_path / "pictures").rglob("*.png")]) == 9
    refused(call("pictures", RUN, "--out", "pictures", *config), "pictures exists", "another --out")
    summary = (tmp_path / "results" / "summary.md").read_text()
    assert RUN in summary
    (tmp_path / "results" / "summary.md").unlink()
    done("summary")
    assert (tmp_path / "results" / "summary.md").read_text() == summary
    result = call("train", RUN, *config, "--set", "training.epochs=1")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("error: ") and "epochs: 2, now 1" in result.stderr
    result = call("ingest", *config, "--set", "images_per_shard=16")
    refused(result, "images_per_shard: 8, now 16", "--replace")
