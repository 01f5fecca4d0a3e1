"""Every runtime answers as Keras does at any size, or nothing is written."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000
from tiny import tree

from pipeline.colorize import export
from pipeline.colorize.export import Form
from pipeline.core import files
from pipeline.core.errors import InputError

pytestmark = pytest.mark.usefixtures("small_export")

RUN = "base_lr1e-4"
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


def opened(path, form):
    """The export as a function, through its runtime alone."""
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
    """The answer of the saved network, with padding and cropping by NumPy."""
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


def test_exports_of_runs_of_two_datasets_have_two_places():
    places = {run: str(Form("onnx").default_path(Path(run))) for run in ("results/a", "mine/results/a", "/x/results/a")}
    assert [*places.values()] == ["exports/a.onnx", "mine/exports/a.onnx", "/x/exports/a.onnx"]
    assert str(Form("tflite").default_path(Path("copies/a"))) == "exports/a.tflite"


@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form.default_path(Path(RUN))))
def test_an_export_answers_as_keras_does_at_any_size(keras, run, made, cases, form):
    path = made(run, form)
    answer = opened(path, form)
    tolerance = {"float32": 0.01, "float16": 0.2, "int8": 5}[form.precision]
    for lightness, embedding, reference in cases:
        found = answer(lightness=lightness, **({"embedding": embedding} if form.embedding_is_input else {}))
        assert (found.shape, found.dtype) == ((*lightness.shape, 2), np.float32)
        assert np.abs(found - reference).max() < tolerance
    assert cases[0][2].std() > 1
    record = files.read_json(export.record_of(path))
    assert record["check"]["largest_difference"] < tolerance
    assert record["check"]["sizes"] == [[224, 224], [101, 150]] and len(record["check"]["photographs"]) == 2
    assert (record["run"], record["target"], record["precision"]) == (RUN, form.target, form.precision)
    assert record["embedding"] == ("input" if form.embedding_is_input else "inside")
    assert set(record["inputs"]) == {"lightness", *(["embedding"] if form.embedding_is_input else [])}
    assert record["made_from"]["network"] == {"model.keras": files.digest_file(run / "model.keras")}
    assert record["made_from"]["fingerprints"] == {"images": "abc"}
    assert {"tensorflow", *export.PACKAGES[form.target].values()} <= record["versions"].keys()
    files.refuse_damaged(path if path.is_dir() else path.parent, record["files"])
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
        found, reference = answer(**given), expected(run, lightness, embed(lightness)["embedding"])
        pictures = [np.dstack([lightness[0] / 2.55, ab[0] - 128.0]) for ab in (found, reference)]
        losses.append(deltaE_ciede2000(*pictures).mean())
    record = files.read_json(export.record_of(path))["check"]
    # Alone, a photograph is quantised with other ranges than beside another.
    assert record["ciede2000"][0] == pytest.approx(np.mean(losses), rel=0.2)
    assert 0 < record["ciede2000"][0] <= record["tolerance"]["ciede2000"]
    assert path.stat().st_size < made(run, Form("tflite")).stat().st_size


def test_names_of_inputs_and_dimensions_can_be_read(keras, run, made):
    import onnxruntime

    session = onnxruntime.InferenceSession(made(run, Form("onnx", embedding_is_input=True)))
    assert {each.name: (each.shape, each.type) for each in (*session.get_inputs(), *session.get_outputs())} == {
        "lightness": (["batch", "height", "width"], "tensor(uint8)"),
        "embedding": (["batch", 1000], "tensor(float)"),
        "ab": (["batch", "height", "width", 2], "tensor(float)"),
    }


def test_a_run_without_embedding_and_in_bfloat16_is_exported_in_float32(keras, make_run, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    run = make_run(tmp_path / "results" / "small_lr1e-4_noembed", embedding=False)
    keras.config.set_dtype_policy("float32")
    record = export.export(run, tmp_path / "it", Form("saved_model"))
    assert record["embedding"] == "none" and record["check"]["largest_difference"] < 0.01
    lightness = RNG.integers(0, 256, (1, 40, 56), dtype=np.uint8)
    found = opened(tmp_path / "it", Form("saved_model"))(lightness=lightness)
    difference = np.abs(found - expected(run, lightness, None)).max()
    assert 0.01 < difference < 10  # what bfloat16 rounds


@pytest.mark.parametrize(
    ("form", "wrong", "message"),
    [
        (Form("saved_model"), lambda ab: ab + 0.02, r"largest_difference.* 0\.02"),
        (Form("saved_model"), lambda ab: ab * np.nan, "received nan"),
        (Form("saved_model"), lambda ab: ab[:, :8], r"received \(1, 8, 224, 2\) float32"),
        (Form("tflite", "int8"), lambda ab: ab + 5, "ciede2000"),
    ],
)
def test_what_answers_otherwise_is_not_kept(keras, run, made, cases, tmp_path, monkeypatch, form, wrong, message):
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
    with pytest.raises(InputError, match=message):
        export.export(run, path, form, replace=True)
    assert tree(tmp_path) == before
    with pytest.raises(InputError, match=message):
        export.export(run, tmp_path / "new", form)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(("one", "two"), [("a", "b"), ("Minimum__7", "Minimum_1__8")])
def test_the_bytes_of_an_onnx_file_do_not_depend_on_the_converters_names(keras, one, two):
    from onnx import helper, numpy_helper

    from pipeline.colorize.runtimes import _name_by_order

    def graph(first, second):
        picture = [helper.make_tensor_value_info(name, 1, [2]) for name in ("lightness", "ab")]
        weights = [numpy_helper.from_array(np.float32([value, 1]), name) for name, value in ((second, 2), (first, 3))]
        nodes = [helper.make_node("Mul", ["lightness", first], ["x"]), helper.make_node("Add", ["x", second], ["ab"])]
        made = helper.make_graph(nodes, "g", picture[:1], picture[1:], initializer=weights, doc_string=first)
        _name_by_order(made)
        return made

    made = graph(one, two)
    assert made.SerializeToString() == graph(two, one).SerializeToString()
    assert [numpy_helper.to_array(tensor)[0] for tensor in made.initializer] == [3, 2]
    assert made.node[0].input[0] == "lightness" and made.node[1].output[0] == "ab"
