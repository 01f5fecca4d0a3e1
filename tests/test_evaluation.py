"""Evaluation: every number recomputed from the saved model and the stores, by other code."""

import csv
import shutil

import numpy as np
import pytest
import yaml
from skimage.color import deltaE_ciede2000, lab2rgb, rgb2lab
from skimage.metrics import structural_similarity
from tiny import DOT, tree, write_embeddings

from pipeline import files, paper
from pipeline.config import Config, Evaluation, Training
from pipeline.errors import InputError
from pipeline.results import collect, headline
from pipeline.runs import Run

# Answers that need no network put one colour on every lightness.
pytestmark = pytest.mark.filterwarnings("ignore:Conversion from CIE-LAB")

RUN = "dot_lr1e-2_l2-1e-1_bs4"
PAPER_RUN = "dot_lr1e-3"


def evaluate(dataset, directory, name=RUN, **options):
    from pipeline import evaluation

    return evaluation.evaluate(
        Run.parse(name), *dataset.sources, dataset.references, directory, Evaluation(**options),
        resolved=Config().model_dump(), more_architectures=DOT,
    )  # fmt: skip


def train(dataset, directory, name=RUN, epochs=2):
    from pipeline import training

    training.train(Run.parse(name), *dataset.sources, directory, Training(epochs=epochs), more_architectures=DOT)


@pytest.fixture(scope="module")
def evaluated(_started, prepared, tmp_path_factory):
    """A dataset with references and an evaluated run: read only."""
    from tiny import Dataset

    from pipeline.references import evaluate_references

    root = tmp_path_factory.mktemp("evaluated")
    dataset = Dataset(shutil.copytree(prepared.folder, root / "data" / "tiny"))
    evaluate_references(dataset.images, dataset.splits, dataset.references)
    train(dataset, root / "models" / RUN)
    evaluate(dataset, root / "models" / RUN, batch_size=3, pictures=2)
    return dataset, root / "models" / RUN


@pytest.fixture
def own(keras, evaluated, tmp_path):
    """A copy of `evaluated` that the test may change."""
    from tiny import Dataset

    root = shutil.copytree(evaluated[1].parents[1], tmp_path / "own")
    return Dataset(root / "data" / "tiny"), root / "models" / RUN


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def value(rows, partition, answer, metric):
    (found,) = [r for r in rows if (r["partition"], r["answer"], r["metric"]) == (partition, answer, metric)]
    return float(found["value"])


def rgb(lightness, ab):
    lab = np.concatenate([lightness[..., None] / 2.55, np.clip(np.rint(ab), 0, 255) - 128.0], axis=-1)
    return np.rint(255 * np.clip(lab2rgb(lab), 0, 1)).astype(np.uint8)


def recomputed(lightness, ab, answer):
    """The metrics of one partition, from their definitions."""
    answer = np.asarray(answer, np.float64)
    shown, truth = rgb(lightness, answer), rgb(lightness, ab)
    pairs = list(zip(shown, truth, strict=True))
    mse = np.mean((answer - ab) ** 2)
    return {
        "mse": mse,
        "rmse": mse**0.5,
        "accuracy": np.mean(answer.argmax(-1) == ab.argmax(-1)),
        "psnr": np.mean([10 * np.log10(255**2 / np.mean((p.astype(float) - t) ** 2)) for p, t in pairs]),
        "ssim": np.mean([
            np.mean([structural_similarity(p[..., c], t[..., c], gaussian_weights=True, sigma=1.5,
                                           use_sample_covariance=False, data_range=255) for c in range(3)])
            for p, t in pairs
        ]),
        "ciede2000": np.mean([deltaE_ciede2000(rgb2lab(p), rgb2lab(t)).mean() for p, t in pairs]),
    }  # fmt: skip


@pytest.mark.parametrize("partition", ["train", "validation", "test"])
def test_the_models_numbers_are_those_of_the_saved_model(keras, evaluated, partition):
    from pipeline import models

    dataset, directory = evaluated
    model = models.load(directory / "evaluation" / "model.keras")
    lightness, ab, embedding = dataset.arrays(partition)
    answer = np.asarray(model.predict_on_batch([lightness[..., None], embedding]))
    assert answer.std() > 0.01
    expected = recomputed(lightness, ab, answer)
    kernels = [layer.kernel for layer in model.layers if hasattr(layer, "kernel") and layer.name != "encoder_3"]
    expected["loss"] = expected["mse"] + 0.1 * sum(np.square(np.asarray(k, np.float64)).sum() for k in kernels)
    rows = rows_of(directory / "evaluation" / "metrics.csv")
    for metric, number in expected.items():
        assert value(rows, partition, "model", metric) == pytest.approx(number, rel=2e-5, abs=2e-6), metric
    assert {r["n"] for r in rows if (r["partition"], r["answer"]) == (partition, "model")} == {str(len(ab))}


@pytest.mark.parametrize("partition", ["train", "test"])
def test_the_references_numbers_follow_from_the_training_images(evaluated, partition):
    dataset, directory = evaluated
    rows = rows_of(directory / "evaluation" / "metrics.csv")
    lightness, ab, _ = dataset.arrays(partition)
    train_ab = dataset.arrays("train")[1]
    answers = {"gray": (128.0, 128.0), "mean": tuple(train_ab.mean(axis=(0, 1, 2)))}
    for answer, colour in answers.items():
        expected = recomputed(lightness, ab, np.broadcast_to(colour, ab.shape))
        for metric, number in expected.items():
            assert value(rows, partition, answer, metric) == pytest.approx(number, rel=1e-9), (answer, metric)
    majority = np.mean(train_ab[..., 1] > train_ab[..., 0]) > 0.5
    share = np.mean((ab[..., 1] > ab[..., 0]) == majority)
    assert value(rows, partition, "majority", "accuracy") == pytest.approx(share, rel=1e-12)


def test_rows_have_one_schema(evaluated):
    rows = rows_of(evaluated[1] / "evaluation" / "metrics.csv")
    assert list(rows[0]) == ["run", "dataset", "partition", "n", "answer", "metric", "value", "settings"]
    told = {r["settings"] for r in rows if r["answer"] == "model"}
    assert len(told) == 1 and "RANDOM" in (text := told.pop()) and "best weights of 2 epochs; finished" in text
    assert {(r["run"], r["dataset"]) for r in rows} == {(RUN, "tiny")}
    assert {r["answer"] for r in rows} == {"model", "gray", "mean", "majority"}
    assert {r["metric"] for r in rows if r["answer"] == "model"} == {
        "loss", "mse", "rmse", "accuracy", "psnr", "ssim", "ciede2000"
    }  # fmt: skip


def test_the_batch_size_changes_no_number_by_much(own, evaluated):
    dataset, directory = own
    before = rows_of(evaluated[1] / "evaluation" / "metrics.csv")
    after = rows_of(evaluate(dataset, directory, batch_size=16, pictures=1) / "metrics.csv")
    assert len(before) == len(after)
    for one, two in zip(before, after, strict=True):
        assert float(one["value"]) == pytest.approx(float(two["value"]), rel=1e-4), one


def test_the_record_tells_what_the_run_was_made_of(evaluated):
    dataset, directory = evaluated
    record = yaml.safe_load((directory / "evaluation" / "run.yaml").read_text())
    assert list(record) == [
        "run", "dataset", "status", "epochs", "best_epoch", "weights_evaluated", "weights_sha256", "embedding", "seeds",
        "fingerprints", "mean_ab", "versions", "backend", "settings", "configuration",
    ]  # fmt: skip
    assert (record["run"], record["dataset"], record["status"], record["epochs"]) == (RUN, "tiny", "finished", 2)
    assert record["weights_sha256"] == files.digest_file(directory / "best.weights.h5")
    assert record["embedding"]["weights"] == "random"
    assert record["fingerprints"]["embeddings"] == dataset.embeddings.manifest()["fingerprint"]
    assert record["configuration"] == Config().model_dump()
    assert {"keras", "numpy", "python", "tensorflow", "zarr"} <= set(record["versions"])


def test_the_last_weights_are_evaluated_if_asked_for(own):
    from pipeline import models

    dataset, directory = own
    train(dataset, directory.with_name("long"), "dot_lr1e0_bs4", epochs=4)
    out = evaluate(dataset, directory.with_name("long"), "dot_lr1e0_bs4", weights="last", pictures=1)
    record = yaml.safe_load((out / "run.yaml").read_text())
    assert record["weights_evaluated"] == "last" and record["best_epoch"] < 4
    assert record["weights_sha256"] == files.digest_file(directory.with_name("long") / "last.weights.h5")
    lightness, ab, embedding = dataset.arrays("validation")
    answer = np.asarray(models.load(out / "model.keras").predict_on_batch([lightness[..., None], embedding]))
    history = rows_of(directory.with_name("long") / "history.csv")
    assert np.mean((answer - ab.astype(np.float64)) ** 2) == pytest.approx(float(history[-1]["val_mse"]), rel=1e-4)


def test_a_diverged_run_is_evaluated_as_what_it_is(own):
    dataset, directory = own
    name = "dot_lr9e5_bs4"
    train(dataset, directory.with_name(name), name, epochs=20)
    out = evaluate(dataset, directory.with_name(name), name, weights="last", pictures=2)
    rows = rows_of(out / "metrics.csv")
    assert yaml.safe_load((out / "run.yaml").read_text())["status"].startswith("diverged in epoch")
    assert np.isnan(value(rows, "test", "model", "rmse")) and np.isnan(value(rows, "test", "model", "loss"))
    ab = dataset.arrays("test")[1]
    # NaN counts as index 0: the share of pixels with a >= b, as in the paper's own diverged run.
    assert value(rows, "test", "model", "accuracy") == pytest.approx(np.mean(ab[..., 0] >= ab[..., 1]))
    assert {path.name for path in out.iterdir()} >= {"curves.png", "predictions.png", "model.keras"}
    results = out.parents[2] / "results"
    collect(out.parent, results, name)
    assert "diverged" in (results / "summary.md").read_text()


def test_embeddings_of_other_images_are_refused(own):
    dataset, directory = own
    manifest = files.read_json(dataset.embeddings.manifest_path)
    files.write_json(dataset.embeddings.manifest_path, {**manifest, "images": "others"})
    with pytest.raises(InputError, match=r"made from images with fingerprint others.*run embed again"):
        evaluate(dataset, directory)


def test_a_run_trained_on_other_embeddings_is_refused(own):
    dataset, directory = own
    before = tree(directory)
    write_embeddings(dataset.images, dataset.embeddings.path, seed=5)
    with pytest.raises(InputError, match=r"was trained on other data: embeddings \w+, now \w+; train it again"):
        evaluate(dataset, directory)
    assert tree(directory) == before


@pytest.mark.parametrize("name", ["best.weights.h5", "last.weights.h5", "history.csv"])
def test_a_changed_or_missing_file_of_the_run_is_refused(own, name):
    dataset, directory = own
    path = directory / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is not the file that .*training\.json tells; run train again"):
        evaluate(dataset, directory)
    path.unlink()
    with pytest.raises(InputError, match="run train again"):
        evaluate(dataset, directory)


def test_references_of_other_images_are_refused(own):
    dataset, directory = own
    path = dataset.references.with_suffix(".json")
    files.write_json(path, {**files.read_json(path), "images": "others"})
    with pytest.raises(InputError, match="run references again"):
        evaluate(dataset, directory)
    dataset.references.unlink()
    with pytest.raises(InputError, match=r"references\.csv does not exist"):
        evaluate(dataset, directory)


def test_results_come_whole_and_once(own, tmp_path):
    _, directory = own
    results = tmp_path / "results"
    target = collect(directory, results, RUN)
    assert target == results / RUN
    assert {path.name for path in target.iterdir()} == {
        "history.csv", "metrics.csv", "curves.png", "predictions.png", "model.keras", "run.yaml"
    }  # fmt: skip
    for path in target.iterdir():
        origin = directory / path.name if path.name == "history.csv" else directory / "evaluation" / path.name
        assert path.read_bytes() == origin.read_bytes()
    (target / "stray").touch()
    before = {name: content for name, content in tree(results).items() if "stray" not in name}
    collect(directory, results, RUN)
    assert tree(results) == before
    assert sorted(path.name for path in results.iterdir()) == [".summary.lock", RUN, "summary.csv", "summary.md"]
    assert headline(results, RUN).startswith(f"{RUN}, test images: RMSE model ")


def test_the_summary_lists_every_run(own, tmp_path, monkeypatch):
    monkeypatch.setitem(paper.RUNS, PAPER_RUN, paper.PaperRun((1,), None, 0.5394033))
    dataset, directory = own
    results = tmp_path / "results"
    collect(directory, results, RUN)
    train(dataset, directory.with_name(PAPER_RUN), PAPER_RUN, epochs=1)
    evaluate(dataset, directory.with_name(PAPER_RUN), PAPER_RUN, pictures=1)
    collect(directory.with_name(PAPER_RUN), results, PAPER_RUN)
    rows = rows_of(results / "summary.csv")
    assert {row["run"] for row in rows} == {RUN, PAPER_RUN}
    assert value([r for r in rows if r["run"] == PAPER_RUN], "test", "paper", "accuracy") == 0.5394033
    text = (results / "summary.md").read_text()
    assert f"| {RUN} |" in text and f"| {PAPER_RUN} |" in text


def test_a_run_that_was_not_evaluated_is_not_collected(own, tmp_path):
    _, directory = own
    (directory / "evaluation" / "curves.png").unlink()
    with pytest.raises(InputError, match=rf"curves\.png not there; train and evaluate {RUN} first"):
        collect(directory, tmp_path / "results", RUN)
    assert not (tmp_path / "results").exists()
