"""The command `export`, its documentation, and an export with the real embedding network."""

import importlib.util
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import ExifTags, Image
from tiny import ROOT, tree

from pipeline.colorize import export
from pipeline.colorize.batch import colorize_files
from pipeline.colorize.export import Form
from pipeline.config import schema
from pipeline.core import files
from pipeline.images import prepare
from pipeline.networks.inputs import predict

RUN = "base_lr1e-4"  # the name in docs/export.md


@pytest.fixture
def run(run, tmp_path):
    return shutil.copytree(run, tmp_path / "results" / RUN)


@pytest.fixture
def call(small_export, tmp_path, monkeypatch):
    from stages.export import command

    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(command, [str(argument) for argument in arguments])


def assert_refused(result, expected):
    assert result.exit_code == 2 and result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ") and expected in line


def test_the_command_writes_says_how_far_it_is_and_replaces_only_when_asked(keras, run, call, tmp_path):
    run = run.relative_to(tmp_path)
    done = call(run, "--to", "saved_model")
    assert done.exit_code == 0, done.stderr
    assert f"export: exports/{RUN}, " in done.stderr
    assert re.search(r"on 2 sample photographs, a and b differ from Keras' by at most [0-9.e-]+ of 255", done.stderr)
    assert f"exports/{RUN}.json" in done.stderr
    before = tree(tmp_path)
    assert_refused(call(run, "--to", "saved_model"), f"exports/{RUN} exists; add --replace")
    assert tree(tmp_path) == before
    assert (
        call(run, "--to", "saved_model", "--embedding", "input", "--out", f"exports/{RUN}", "--replace").exit_code == 0
    )
    assert files.read_json(Path(f"exports/{RUN}.json"))["embedding"] == "input"


def test_bad_input_ends_with_one_line_and_nothing_written(keras, make_run, run, call, tmp_path, monkeypatch):
    without = make_run(tmp_path / "small_lr1e-4_noembed", embedding=False)
    (tmp_path / "photographs").mkdir()
    (tmp_path / "photographs" / "a.jpg").write_bytes(b"mine")
    before = tree(tmp_path)
    for arguments, message in [
        ((tmp_path / "absent", "--to", "onnx"), "absent: "),
        ((run, "--to", "onnx", "--precision", "int8"), "--precision: "),
        ((without, "--to", "onnx", "--embedding", "input"), "--embedding input: "),
        (
            (run, "--to", "saved_model", "--out", "photographs", "--replace"),
            "photographs: expected the folder of a SavedModel",
        ),
        ((run, "--to", "onnx", "--out", "photographs", "--replace"), "photographs: expected a file"),
        (
            (run, "--to", "saved_model", "--out", "photographs/a.jpg", "--replace"),
            "photographs/a.jpg: expected the folder",
        ),
        ((run, "--to", "onnx", "--out", "."), "--out: "),
    ]:
        assert_refused(call(*arguments), message)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "onnx" in name else find(name))
    assert_refused(call(run, "--to", "onnx"), "--to onnx: expected the installed packages onnx")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert_refused(call(run, "--to", "saved_model"), "KERAS_BACKEND: ")
    assert tree(tmp_path) == before


def test_only_an_export_is_replaced(keras, make_run, call, tmp_path):
    run = make_run(tmp_path / "results" / RUN)
    (tmp_path / "mine.json").write_text("{}")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"mine")
    (tmp_path / "network.onnx").write_bytes(b"mine")
    (tmp_path / "link.onnx").symlink_to(run / "model.keras")
    before = tree(tmp_path)
    for target, out in [
        ("onnx", run / "model.keras"),
        ("onnx", run / "run.yaml"),
        ("onnx", "network.onnx"),
        ("onnx", "link.onnx"),
        ("saved_model", "model"),
        ("saved_model", "mine"),
    ]:
        assert_refused(call(run, "--to", target, "--out", out, "--replace"), str(out))
        assert tree(tmp_path) == before
    assert_refused(call(run, "--to", "saved_model", "--out", "mine"), "mine.json: ")
    assert call(run, "--to", "saved_model", "--embedding", "input").exit_code == 0
    made = Path(f"exports/{RUN}_embedding-input")
    (made / "notes.txt").write_text("mine")
    before = tree(tmp_path)
    again = (run, "--to", "saved_model", "--embedding", "input", "--replace")
    assert_refused(call(*again), str(made))
    assert tree(tmp_path) == before
    (made / "notes.txt").unlink()
    assert call(*again).exit_code == 0


def test_a_full_disk_is_told_and_nothing_written(keras, run, call, tmp_path, monkeypatch):
    import tensorflow

    def save(*given, **more):
        raise tensorflow.errors.ResourceExhaustedError(None, None, "part-0; No space left on device")

    monkeypatch.setattr(tensorflow.saved_model, "save", save)
    for target in ("saved_model", "tflite"):
        done = call(run, "--to", target)
        assert done.exit_code == 2 and "No space left on device; make room there" in done.stderr.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_the_command_offers_what_the_library_has():
    from stages.export import command

    choices = {option.name: list(getattr(option.type, "choices", [])) for option in command.params}
    assert choices["target"] == list(export.SUFFIXES) == list(export.PACKAGES)


@pytest.mark.slow
def test_the_documented_code_sees_what_colorize_sees(keras, small_export, run, made, tmp_path, monkeypatch):
    from pipeline.colorize import colorizer, predictors

    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "export.md").read_text(), re.DOTALL)
    assert len(blocks) == 6
    made(run, Form("saved_model")), made(run, Form("tflite"))
    monkeypatch.chdir(made(run, Form("onnx")).parents[1])
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    # Reduced by half, this JPEG would be 281 columns wide.
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (1127, 900, 3), dtype=np.uint8)).save(
        "photograph.jpg", exif=exif
    )
    seen = []
    monkeypatch.setattr(predictors, "predict", lambda network, given: seen.append(given) or predict(network, given))
    Path("in").mkdir()
    shutil.copy("photograph.jpg", "in")
    colorize_files([Path("in")], Path("out"), lambda: colorizer.Colorizer.load(run))
    names, read, answers = {}, [], []
    for block in blocks[:2]:
        exec(block, names)
        read.append(names["lightness"])
    assert all(np.array_equal(seen[0].lightness, prepare.padded(lightness)) for lightness in read)
    for block in blocks[2:5]:
        exec(block, names)
        answers.append(names["ab"])
    exec(blocks[5], names)
    assert [answer.shape for answer in answers] == [(1, 224, 280, 2)] * 3
    assert max(np.abs(answer - answers[0]).max() for answer in answers) < 0.02
    assert Image.open("coloured.png").size == (280, 224)


@pytest.mark.long
def test_the_real_embedding_network_goes_along(keras, make_run, tmp_path):
    from pipeline.embedding import network as networks
    from pipeline.embedding import recipe

    settings = schema.Embedding(network="inception_resnet_v2", weights="random", batch_size=1)
    saved = tmp_path / "data" / "tiny" / "embedding_network.weights.h5"
    saved.parent.mkdir(parents=True)
    networks.load(settings, saved)
    run = make_run(tmp_path / "results" / RUN)
    record = yaml.safe_load((run / "run.yaml").read_text())
    record["embedding"] = {**recipe.settings(settings, 8), "precision": "float32"}
    record["embedding_weights"] = networks.weights_facts(saved)
    record["configuration"] = {"data": str(tmp_path / "data"), "dataset": "tiny", "embedding": {"weights": "random"}}
    (run / "run.yaml").write_text(yaml.safe_dump(record))
    files.write_listing(run)
    for form in (Form("saved_model"), Form("onnx"), Form("tflite"), Form("tflite", "int8")):
        record = export.export(run, tmp_path / "out" / form.target / form.precision, form)
        assert record["bytes"] > (50e6 if form.precision == "int8" else 200e6)
        assert record["check"]["largest_difference"] < (5 if form.precision == "int8" else 0.01)
        assert record["made_from"]["embedding_network"]["files"] == {saved.name: files.digest_file(saved)}
