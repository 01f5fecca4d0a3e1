"""Exports: every runtime answers as Keras does, whatever the size; what does not, or cannot be, is not written."""

import importlib.util
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import ExifTags, Image
from skimage.color import deltaE_ciede2000
from tiny import INCEPTION, ROOT, tree

from pipeline.colorize import export
from pipeline.colorize.batch import colorize_files
from pipeline.colorize.export import Form
from pipeline.config import schema
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.images import prepare
from pipeline.networks.inputs import predict

# Its largest kernels have the 1024 numbers from which on int8 is used.
SMALL = {"small": schema.Architecture(encoder="8/2 16/2 16/2", fusion="1x1:16", decoder="16 ^ 4 ^ 2 ^")}
RUN = "base_lr1e-4"  # the name that docs/export.md uses
SIZES = [(1, 224, 224), (2, 101, 150), (1, 8, 64), (3, 1, 1)]
RNG = np.random.default_rng(0)
FORMS = [
    Form("saved_model"),
    Form("onnx"),
    Form("tflite"),
    Form("saved_model", embedding_is_input=True),
    Form("onnx", embedding_is_input=True),
    Form("tflite", "float16", embedding_is_input=True),
    Form("tflite", "int8"),
]


@pytest.fixture(scope="module")
def embed(_started):
    """An embedding network of one convolution."""
    import keras

    from pipeline.embedding.network import EmbeddingNetwork

    layers = [
        keras.Input((299, 299, 3)),
        keras.layers.Conv2D(8, 7, strides=5, activation="relu", kernel_initializer=keras.initializers.HeNormal(1)),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(1000, kernel_initializer=keras.initializers.HeNormal(2)),
    ]
    return EmbeddingNetwork(INCEPTION, keras.Sequential(layers), 1)


def make_run(folder, *, embedding=True):
    """``results/<run>/`` of a network with strong colours that vary."""
    from pipeline.networks import builder, saving

    model = builder.build("small", seed=3, start_at=(150.0, 160.0), embedding=embedding, architectures=SMALL)
    model.get_layer("ab").kernel.assign(10 * model.get_layer("ab").kernel)
    saving.save(model, folder / "model.keras")
    record = {
        "run": folder.name,
        "embedding": {"network": INCEPTION.record, "weights": "random", "activation": "logits"}
        if embedding
        else {"weights": "none"},
        "embedding_weights": None,
        "fingerprints": {"images": "abc"},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(record))
    files.write_listing(folder)
    return folder


@pytest.fixture(scope="module")
def run(_started, tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("made") / "results" / RUN)


@pytest.fixture(autouse=True)
def _small(request, monkeypatch):
    """Two photographs, and the small embedding network for the run's."""
    if "long" in request.keywords:
        return
    from pipeline.embedding import of_run

    def load(folder, record, weights, outputs):
        return None if record["embedding"]["weights"] == "none" else request.getfixturevalue("embed")

    monkeypatch.setattr(of_run, "load", load)
    monkeypatch.setattr(export, "PHOTOGRAPHS", 2)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Exports of `run`, each made when it is first asked for: the file or folder by form."""
    folder, found = tmp_path_factory.mktemp("exports"), {}

    def made(run, form):
        if form not in found:
            found[form] = folder / form.default_path(run)
            export.export(run, found[form], form)
        return found[form]

    return made


def opened(path, form):
    """What answers, by the runtime alone."""
    if form.target == "saved_model":
        import tensorflow

        loaded = tensorflow.saved_model.load(path)
        return lambda **given: loaded.colour(**given)["ab"].numpy()
    if form.target == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path)
        return lambda **given: session.run(None, given)[0]
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(path)).get_signature_runner()
    return lambda **given: runner(**given)["ab"]


def expected(run, lightness, embedding):
    """What the saved network says, its input padded and its output cut by nothing of ours."""
    from pipeline.networks import saving

    height, width = lightness.shape[1:]
    padded = np.pad(lightness, [(0, 0), (0, -height % 8), (0, -width % 8)], "edge")[..., None]
    given = [padded] if embedding is None else [padded, embedding]
    return np.asarray(saving.load(run / "model.keras").predict_on_batch(given))[:, :height, :width]


@pytest.fixture(scope="module")
def cases(run, embed):
    """L, embedding and what Keras answers, at all `SIZES`."""
    found = []
    for size in SIZES:
        lightness = RNG.integers(0, 256, size, dtype=np.uint8)
        embedding = embed(lightness)["embedding"]
        found.append((lightness, embedding, expected(run, lightness, embedding)))
    return found


@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form.default_path(Path(RUN))))
def test_an_export_answers_as_keras_does_at_any_size(keras, run, made, cases, form):
    path = made(run, form)
    answer = opened(path, form)
    tolerance = {"float32": 0.01, "float16": 0.2, "int8": 5}[form.precision]
    for lightness, embedding, wanted in cases:
        found = answer(lightness=lightness, **({"embedding": embedding} if form.embedding_is_input else {}))
        assert (found.shape, found.dtype) == ((*lightness.shape, 2), np.float32)
        assert np.abs(found - wanted).max() < tolerance
    assert cases[0][2].std() > 1
    told = files.read_json(export.record_of(path))
    assert told["check"]["largest_difference"] < tolerance
    assert told["check"]["sizes"] == [[224, 224], [101, 150]] and len(told["check"]["photographs"]) == 2
    assert (told["run"], told["target"], told["precision"]) == (RUN, form.target, form.precision)
    assert told["embedding"] == ("input" if form.embedding_is_input else "inside")
    assert set(told["inputs"]) == {"lightness", *(["embedding"] if form.embedding_is_input else [])}
    assert told["made_from"]["network"] == {"model.keras": files.digest_file(run / "model.keras")}
    assert told["made_from"]["fingerprints"] == {"images": "abc"}
    assert {"tensorflow", *export.PACKAGES[form.target].values()} <= told["versions"].keys()
    files.refuse_damaged(path if path.is_dir() else path.parent, told["files"])
    assert not list(path.parent.glob(".*.tmp*"))


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_the_loss_is_the_mean_ciede2000_from_the_float32_network(keras, run, made, embed, precision):
    (form,) = [form for form in FORMS if form.precision == precision]
    path = made(run, form)
    answer = opened(path, form)
    _, photographs = export.sample()
    losses = []
    for lightness in photographs[:, None]:
        given = {"lightness": lightness, **(embed(lightness) if form.embedding_is_input else {})}
        found, wanted = answer(**given), expected(run, lightness, embed(lightness)["embedding"])
        pictures = [np.dstack([lightness[0] / 2.55, ab[0] - 128.0]) for ab in (found, wanted)]
        losses.append(deltaE_ciede2000(*pictures).mean())
    told = files.read_json(export.record_of(path))["check"]
    # Alone, a photograph is quantised with other ranges than beside another.
    assert told["ciede2000"][0] == pytest.approx(np.mean(losses), rel=0.2)
    assert 0 < told["ciede2000"][0] <= told["tolerance"]["ciede2000"]
    assert path.stat().st_size < made(run, Form("tflite")).stat().st_size


def test_names_of_inputs_and_dimensions_can_be_read(keras, run, made):
    import onnxruntime

    session = onnxruntime.InferenceSession(made(run, Form("onnx", embedding_is_input=True)))
    assert {each.name: (each.shape, each.type) for each in (*session.get_inputs(), *session.get_outputs())} == {
        "lightness": (["batch", "height", "width"], "tensor(uint8)"),
        "embedding": (["batch", 1000], "tensor(float)"),
        "ab": (["batch", "height", "width", 2], "tensor(float)"),
    }


def test_a_run_without_embedding_and_in_bfloat16_is_exported_in_float32(keras, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    run = make_run(tmp_path / "results" / "small_lr1e-4_noembed", embedding=False)
    keras.config.set_dtype_policy("float32")
    told = export.export(run, tmp_path / "it", Form("saved_model"))
    assert told["embedding"] == "none" and told["check"]["largest_difference"] < 0.01
    lightness = RNG.integers(0, 256, (1, 40, 56), dtype=np.uint8)
    found = opened(tmp_path / "it", Form("saved_model"))(lightness=lightness)
    difference = np.abs(found - expected(run, lightness, None)).max()
    assert 0.01 < difference < 10  # what bfloat16 rounds


@pytest.mark.parametrize(
    ("form", "wrong", "told"),
    [
        (Form("saved_model"), lambda ab: ab + 0.02, r"largest_difference.* 0\.02"),
        (Form("saved_model"), lambda ab: ab * np.nan, "received nan"),
        (Form("saved_model"), lambda ab: ab[:, :8], r"received \(1, 8, 224, 2\) float32"),
        (Form("tflite", "int8"), lambda ab: ab + 5, "ciede2000"),
    ],
)
def test_what_answers_otherwise_is_not_kept(keras, run, made, cases, tmp_path, monkeypatch, form, wrong, told):
    from pipeline.colorize import runtimes

    path = tmp_path / "out" / made(run, form).name
    path.parent.mkdir()
    (shutil.copytree if form.target == "saved_model" else shutil.copyfile)(made(run, form), path)
    shutil.copyfile(export.record_of(made(run, form)), export.record_of(path))
    before = tree(tmp_path)

    def answer(lightness):
        (ab,) = [case[2] for case in cases if case[0] is lightness]
        return wrong(ab).astype(np.float32)

    monkeypatch.setattr(
        export,
        "_cases",
        lambda *given: [export._Case(lightness, {"embedding": embedding}, ab) for lightness, embedding, ab in cases],
    )
    monkeypatch.setattr(runtimes, f"open_{form.target}", lambda path, threads: answer)
    monkeypatch.setattr(runtimes, f"write_{form.target}", lambda *given: None)
    with pytest.raises(InputError, match=told):
        export.export(run, path, form, replace=True)
    assert tree(tmp_path) == before
    with pytest.raises(InputError, match=told):
        export.export(run, tmp_path / "new", form)
    assert tree(tmp_path) == before


# The command


@pytest.fixture
def call(tmp_path, monkeypatch):
    from stages.export import command

    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(command, [str(argument) for argument in arguments])


def assert_refused(result, expected):
    assert result.exit_code == 2 and result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ") and expected in line


def test_the_command_writes_says_how_far_it_is_and_replaces_only_when_asked(keras, run, call, tmp_path):
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


def test_bad_input_ends_with_one_line_and_nothing_written(keras, run, call, tmp_path, monkeypatch):
    without = make_run(tmp_path / "small_lr1e-4_noembed", embedding=False)
    (tmp_path / "photographs").mkdir()
    (tmp_path / "photographs" / "a.jpg").write_bytes(b"mine")
    before = tree(tmp_path)
    for arguments, told in [
        ((tmp_path / "absent", "--to", "onnx"), "absent: "),
        ((run, "--to", "onnx", "--precision", "int8"), "--precision: "),
        ((without, "--to", "onnx", "--embedding", "input"), "--embedding: "),
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
        assert_refused(call(*arguments), told)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "onnx" in name else find(name))
    assert_refused(call(run, "--to", "onnx"), "--to onnx: expected the installed packages onnx")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert_refused(call(run, "--to", "saved_model"), "KERAS_BACKEND: ")
    assert tree(tmp_path) == before


def test_a_full_disk_is_told_and_nothing_written(keras, run, call, tmp_path, monkeypatch):
    import tensorflow

    def save(*given, **more):
        raise tensorflow.errors.ResourceExhaustedError(None, None, "part-0; No space left on device")

    monkeypatch.setattr(tensorflow.saved_model, "save", save)
    for target in ("saved_model", "tflite"):
        done = call(run, "--to", target)
        assert done.exit_code == 2 and "No space left on device; make room there" in done.stderr.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_the_command_offers_what_the_library_has():
    from stages.export import command

    choices = {option.name: list(getattr(option.type, "choices", [])) for option in command.params}
    assert choices["target"] == list(export.SUFFIXES) == list(export.PACKAGES)


def test_the_documented_code_sees_what_colorize_sees(keras, run, made, tmp_path, monkeypatch):
    from pipeline.colorize import colorizer

    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "export.md").read_text(), re.DOTALL)
    assert len(blocks) == 6
    made(run, Form("saved_model")), made(run, Form("tflite"))
    monkeypatch.chdir(made(run, Form("onnx")).parents[1])
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    # Reduced by half, this JPEG would be 281 columns wide.
    Image.fromarray(RNG.integers(0, 256, (1127, 900, 3), dtype=np.uint8)).save("photograph.jpg", exif=exif)
    seen = []
    monkeypatch.setattr(colorizer, "predict", lambda network, given: seen.append(given) or predict(network, given))
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
def test_the_real_embedding_network_goes_along(keras, tmp_path):
    from pipeline.embedding import network as networks
    from pipeline.embedding import recipe

    settings = schema.Embedding(batch_size=1)
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
        told = export.export(run, tmp_path / "out" / form.target / form.precision, form)
        assert told["bytes"] > (50e6 if form.precision == "int8" else 200e6)
        assert told["check"]["largest_difference"] < (5 if form.precision == "int8" else 0.01)
        assert told["made_from"]["embedding_network"]["files"] == {saved.name: files.digest_file(saved)}
