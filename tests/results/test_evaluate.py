"""Evaluation: every number recomputed from the saved model and the stores, by other code."""

import shutil

import numpy as np
import pytest
import yaml
from PIL import Image
from tiny import DOT, MEASURED, RESULT_FILES, Dataset, literal, rows_of, shown, tree, value, write_embeddings

from pipeline.config import paper
from pipeline.config.runs import Run
from pipeline.config.schema import Config, Evaluation, Training
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.dataset import splits
from pipeline.evaluation import paired, predictors, scores, vocabulary
from pipeline.evaluation.baselines import read_baselines, score_baselines
from pipeline.images import jpeg
from pipeline.results.comparison import compare_runs
from pipeline.results.record import headline

# Answers that need no network put one colour on every lightness.
pytestmark = pytest.mark.filterwarnings("ignore:Conversion from CIE-LAB")

RUN = "dot_lr1e-2_l2-1e-1_bs4"
OWN = ("model", "embedding-shuffled", "embedding-mean")


@pytest.fixture(scope="module", autouse=True)
def _in_the_paper():
    """The paper has a number for `RUN`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(paper.RUNS, RUN, paper.PaperRun((1,), None, 0.5394033))
        yield


def result_of(directory):
    """``results/<run>/`` of ``models/<run>/``."""
    return directory.parents[1] / "results" / directory.name


def evaluate(dataset, directory, name=RUN, *, replace=False, threads=2, **options):
    from pipeline.results.evaluate import evaluate

    asked = Evaluation(**{"batch_size": 3, "pictures": 2, **options})
    evaluate(
        Run.parse(name), *dataset.sources, dataset.baselines, directory, result_of(directory), asked,
        resolved=Config(evaluation=asked).model_dump(), replace=replace, threads=threads, more_architectures=DOT,
    )  # fmt: skip
    return result_of(directory)


def train(dataset, directory, name=RUN, epochs=2):
    from pipeline.training.train import train

    train(Run.parse(name), *dataset.sources, directory, Training(epochs=epochs), more_architectures=DOT)


def plant(directory, model, which="best"):
    """Put other weights into a trained run."""
    name = f"{which}.weights.h5"
    model.save_weights(directory / name)
    told = files.read_json(directory / "training.json")
    told["files"][name] = files.digest_file(directory / name)
    files.write_json(directory / "training.json", told)


@pytest.fixture(scope="module")
def evaluated(_started, _in_the_paper, referenced, tmp_path_factory):
    """A dataset with baselines and an evaluated run, whose answers vary and depend on the embedding: read only."""
    from pipeline.networks import builder

    root = tmp_path_factory.mktemp("evaluated")
    dataset = Dataset(shutil.copytree(referenced.folder, root / "data" / "tiny"))
    train(dataset, root / "models" / RUN)
    model = builder.build("dot", l2=0.1, seed=3, start_at=(132.0, 142.0), architectures=DOT)
    kernel = model.get_layer("fusion_1").kernel
    kernel.assign(np.concatenate([kernel[:, :, :-1000], 20 * kernel[:, :, -1000:]], axis=2))
    plant(root / "models" / RUN, model)
    evaluate(dataset, root / "models" / RUN)
    return dataset, root / "models" / RUN


@pytest.fixture
def own(keras, evaluated, tmp_path):
    """A copy of `evaluated` that the test may change."""
    root = shutil.copytree(evaluated[1].parents[1], tmp_path / "own")
    return Dataset(root / "data" / "tiny"), root / "models" / RUN


@pytest.fixture
def undrawn(monkeypatch):
    """Figures are empty files: for tests that are not about them, because they take seconds."""

    def touch(path, *given, **options):
        for kind in (".png", ".svg"):
            path.with_suffix(kind).touch()

    for name in ("pictures.predictions", "pictures.errors", "colours.chroma", "learning.curves"):
        monkeypatch.setattr(f"pipeline.figures.{name}", touch)


def split_of(dataset):
    return splits.read(dataset.splits, dataset.images.manifest()["fingerprint"])


def given_embeddings(dataset):
    """The embeddings of all images, by answer."""
    every = np.asarray(dataset.embeddings.array("embedding")[:])
    partners = predictors.partners([row["group"] for row in split_of(dataset)], 0)
    mean = every[dataset.rows("train")].mean(axis=0, dtype=np.float64).astype(np.float32)
    return {"model": every, "embedding-shuffled": every[partners], "embedding-mean": np.tile(mean, (len(every), 1))}


def saved_answer(dataset, directory, answer, partition):
    """What the whole saved model answers."""
    from pipeline.networks import saving

    model = saving.load(result_of(directory) / "model.keras")
    embedding = given_embeddings(dataset)[answer][dataset.rows(partition)]
    return model, np.asarray(model.predict_on_batch([dataset.arrays(partition)[0][..., None], embedding]))


@pytest.mark.parametrize(("partition", "answer"), [
    ("train", "embedding-mean"), *(("validation", answer) for answer in OWN),
    ("test", "model"), ("test", "embedding-shuffled"),
])  # fmt: skip
def test_the_runs_own_numbers_are_those_of_the_saved_model(keras, evaluated, partition, answer):
    dataset, directory = evaluated
    model, said = saved_answer(dataset, directory, answer, partition)
    lightness, ab, _ = dataset.arrays(partition)
    assert said.std(axis=(0, 1, 2)).min() > 0.5
    expected = literal(lightness, ab, said)
    kernels = [layer.kernel for layer in model.layers if hasattr(layer, "kernel") and layer.name != "encoder_3"]
    expected["loss"] = expected["mse"] + 0.1 * sum(np.square(np.asarray(k, np.float64)).sum() for k in kernels)
    rows = rows_of(result_of(directory) / "metrics.csv")
    mine = [r for r in rows if (r["partition"], r["answer"]) == (partition, answer)]
    assert [r["metric"] for r in mine] == list(MEASURED) and set(expected) == set(MEASURED)
    for metric, number in expected.items():
        assert value(rows, partition, answer, metric) == pytest.approx(number, rel=1e-4, abs=2e-6), metric
    assert {r["n"] for r in mine} == {str(len(ab))}
    if answer != "model":
        own_numbers = {metric: value(rows, partition, "model", metric) for metric in MEASURED}
        assert sum(abs(expected[metric] / own_numbers[metric] - 1) > 1e-3 for metric in MEASURED) >= 8


def test_the_references_rows_are_the_datasets(evaluated):
    dataset, directory = evaluated
    rows = rows_of(result_of(directory) / "metrics.csv")
    theirs = rows_of(dataset.baselines)
    assert [r for r in rows if r["answer"] in predictors.BUILT_IN] == [{**r, "run": RUN} for r in theirs]
    assert {r["answer"] for r in theirs} == set(predictors.BUILT_IN)


def test_rows_have_one_schema(evaluated):
    rows = rows_of(result_of(evaluated[1]) / "metrics.csv")
    assert list(rows[0]) == list(scores.COLUMNS) == [
        "run", "dataset", "partition", "n", "answer", "metric", "value", "low", "high", "settings"
    ]  # fmt: skip
    assert {(r["run"], r["dataset"]) for r in rows} == {(RUN, "tiny")}
    assert list(dict.fromkeys(r["answer"] for r in rows)) == [*OWN, *predictors.BUILT_IN, "paper"]
    told = "embedding weights: RANDOM (seed 0; not ImageNet features); best weights of 2 epochs; finished"
    reasons = {
        "train": "; no interval: 3 groups, fewer than 10",
        "validation": "; no interval: 2 groups, fewer than 10",
    }
    for row in (r for r in rows if r["answer"] in OWN):
        assert row["settings"] == told + reasons.get(row["partition"], "")
        if row["partition"] == "test":
            assert float(row["low"]) <= float(row["value"]) <= float(row["high"])
        else:
            assert row["low"] == row["high"] == ""
    (paper_row,) = [r for r in rows if r["answer"] == "paper"]
    assert (paper_row["partition"], paper_row["metric"], float(paper_row["value"])) == ("test", "accuracy", 0.5394033)


def test_the_per_image_file_gives_the_metrics(evaluated):
    dataset, directory = evaluated
    rows = rows_of(result_of(directory) / "metrics.csv")
    images = rows_of(result_of(directory) / "per_image.csv")
    table = split_of(dataset)
    of_image = {(r["answer"], r["metric"], int(r["row"])): r for r in images}
    assert len(of_image) == len(images) and {r["answer"] for r in images} == set(OWN)
    for (_, _, row), found in of_image.items():
        assert (found["id"], found["group"], found["partition"]) == tuple(
            table[row][name] for name in ("id", "group", "partition")
        )
    for answer in OWN:
        for partition in splits.PARTITIONS:
            names = {metric for mine, metric, _ in of_image if mine == answer}
            mean = {
                name: np.mean([float(of_image[answer, name, row]["value"]) for row in dataset.rows(partition)])
                for name in names
            }
            mean["rmse"] = mean["mse"] ** 0.5
            mean["psnr_pooled"] = 10 * np.log10(255**2 / mean["rgb_mse"])
            mean["auc_rebalanced"] = mean["auc_weighted"] / mean["rarity"]
            mean["delta_cf_set"] = abs(mean["colourfulness"] - mean["colourfulness_true"])
            mean["chroma_ratio"] = mean["chroma"] / mean["chroma_true"]
            for metric in MEASURED:
                assert value(rows, partition, answer, metric) == pytest.approx(mean[metric], rel=1e-12), metric


def test_differences_are_paired_with_every_other_answer(evaluated):
    _, directory = evaluated
    rows, numbers = (rows_of(result_of(directory) / f"{name}.csv") for name in ("differences", "metrics"))
    assert list(rows[0]) == list(paired.COLUMNS)
    assert {(r["run"], r["dataset"], r["answer"]) for r in rows} == {(RUN, "tiny", "model")}
    assert list(dict.fromkeys(r["against"] for r in rows)) == [*predictors.BUILT_IN, *OWN[1:]]
    for row in rows:
        expected = [value(numbers, row["partition"], answer, row["metric"]) for answer in ("model", row["against"])]
        assert float(row["value"]) == pytest.approx(expected[0] - expected[1], rel=1e-9, abs=2e-5 * abs(expected[0]))
        if row["partition"] == "test":
            low, high = float(row["low"]), float(row["high"])
            better = vocabulary.term(row["metric"]).better
            assert row["verdict"] == (
                "no clear difference"
                if low <= 0 <= high
                else "better"
                if (high < 0) == (better == "lower")
                else "worse"
            )
        else:
            assert (row["low"], row["high"], row["verdict"]) == ("", "", "no interval")
    of = {}
    for row in rows_of(result_of(directory) / "per_image.csv"):
        if row["partition"] == "test" and row["metric"] == "mse":
            of.setdefault(row["answer"], {})[row["group"]] = float(row["value"])
    one, two = (np.array([of[answer][group] for group in sorted(of[answer])]) for answer in OWN[:2])
    rng = np.random.default_rng(0)
    drawn = [rng.integers(10, size=10) for _ in range(1000)]
    gaps = [np.sqrt(one[d].mean()) - np.sqrt(two[d].mean()) for d in drawn]
    (row,) = [r for r in rows if (r["partition"], r["against"], r["metric"]) == ("test", OWN[1], "rmse")]
    assert [float(row["low"]), float(row["high"])] == pytest.approx(np.quantile(gaps, [0.025, 0.975]), rel=1e-7)


def test_pictures_are_the_predicted_test_images(keras, evaluated):
    dataset, directory = evaluated
    rows = dataset.rows("test")
    folder = result_of(directory) / "pictures"
    assert sorted(path.name for path in folder.iterdir()) == sorted(jpeg.name(row) for row in rows)
    lightness, ab, _ = dataset.arrays("test")
    _, said = saved_answer(dataset, directory, "model", "test")
    for row, level, answer, true in zip(rows, lightness, said, ab, strict=True):
        with Image.open(folder / jpeg.name(row)) as picture:
            assert (picture.format, picture.size) == ("JPEG", (224, 224))
            got = np.asarray(picture).astype(int)
        wrong, right = (np.abs(got - shown(level, colours)).mean() for colours in (true, answer))
        assert right < 2 and right < wrong


def test_again_with_another_number_of_threads_every_byte_is_the_same(own, evaluated):
    dataset, directory = own
    before = tree(directory)
    assert {path.name for path in result_of(directory).iterdir()} == RESULT_FILES
    evaluate(dataset, directory, threads=1)
    assert tree(directory) == before == tree(evaluated[1])


def test_other_settings_replace_an_evaluation_only_if_asked(own, undrawn):
    dataset, directory = own
    before = tree(directory)
    with pytest.raises(
        InputError, match=r"evaluation\.batch_size: 3, now 16; evaluation\.pictures: 2, now 1.*--replace"
    ):
        evaluate(dataset, directory, batch_size=16, pictures=1)
    assert tree(directory) == before
    rows = rows_of(result_of(directory) / "metrics.csv")
    after = rows_of(evaluate(dataset, directory, batch_size=16, pictures=1, replace=True) / "metrics.csv")
    assert len(after) == len(rows)
    for one, two in zip(rows, after, strict=True):
        # Another batch size rounds otherwise: that is all.
        assert one | {"value": 0, "low": 0, "high": 0} == two | {"value": 0, "low": 0, "high": 0}
        for name in ("value", "low", "high"):
            assert (one[name] == "") == (two[name] == "")
            if one[name]:
                assert float(one[name]) == pytest.approx(float(two[name]), rel=1e-4, abs=1e-6), one
    record = yaml.safe_load((result_of(directory) / "run.yaml").read_text())
    assert record["configuration"]["evaluation"]["batch_size"] == 16


def test_another_seed_needs_other_baselines(own):
    dataset, directory = own
    with pytest.raises(
        InputError, match=r"baselines\.csv was made from .* another split or seed.*; run baselines again"
    ):
        evaluate(dataset, directory, seed=1, replace=True)


def test_the_record_tells_what_the_run_was_made_of(evaluated):
    dataset, directory = evaluated
    record = yaml.safe_load((result_of(directory) / "run.yaml").read_text())
    assert list(record) == [
        "run", "dataset", "status", "findings", "epochs", "best_epoch", "weights_evaluated", "weights_sha256",
        "embedding", "embedding_weights", "seeds", "fingerprints", "mean_ab", "versions", "backend", "settings",
        "configuration",
    ]  # fmt: skip
    assert (record["run"], record["dataset"], record["status"], record["epochs"]) == (RUN, "tiny", "finished", 2)
    assert record["weights_sha256"] == files.digest_file(directory / "best.weights.h5")
    assert record["embedding"]["weights"] == "random"
    assert record["seeds"] == {"training": 0, "split": 4, "evaluation": 0}
    assert record["fingerprints"]["embeddings"] == dataset.embeddings.manifest()["fingerprint"]
    assert record["configuration"] == Config(evaluation=Evaluation(batch_size=3, pictures=2)).model_dump()
    assert {"keras", "numpy", "python", "tensorflow", "zarr"} <= set(record["versions"])


def test_findings_are_those_of_the_files(evaluated):
    out = result_of(evaluated[1])
    told = yaml.safe_load((out / "run.yaml").read_text())["findings"]
    assert told == paired.findings("finished", rows_of(out / "metrics.csv"), rows_of(out / "differences.csv"))
    assert len(told) == 7 and told[-1].startswith("Does the embedding matter? RMSE ")
    rmse = value(rows_of(out / "metrics.csv"), "test", "model", "rmse")
    assert told[0].startswith(f"RMSE {rmse:.2f} against ")


def test_a_run_without_embedding_is_evaluated_by_its_last_weights(own, undrawn):
    from pipeline.networks import saving

    dataset, directory = own
    name = "dot_lr1e-2_l2-1e-1_bs4_noembed"
    train(dataset, directory.with_name(name), name, epochs=3)
    out = evaluate(dataset, directory.with_name(name), name, weights="last")
    record = yaml.safe_load((out / "run.yaml").read_text())
    assert record["embedding"] == {"weights": "none"} and record["weights_evaluated"] == "last"
    assert record["weights_sha256"] == files.digest_file(directory.with_name(name) / "last.weights.h5")
    assert not any("embedding" in sentence for sentence in record["findings"])
    model = saving.load(out / "model.keras")
    assert [tensor.name for tensor in model.inputs] == ["L"]
    rows = rows_of(out / "metrics.csv")
    assert {r["answer"] for r in rows} == {"model", *predictors.BUILT_IN}
    assert {r["answer"] for r in rows_of(out / "per_image.csv")} == {"model"}
    assert {r["against"] for r in rows_of(out / "differences.csv")} == set(predictors.BUILT_IN)
    assert all(r["settings"].startswith("embedding weights: none;") or "no embedding" in r["settings"]
               for r in rows if r["answer"] == "model")  # fmt: skip
    lightness, ab, _ = dataset.arrays("validation")
    answer = np.asarray(model.predict_on_batch(lightness[..., None]))
    for metric, number in literal(lightness, ab, answer).items():
        assert value(rows, "validation", "model", metric) == pytest.approx(number, rel=1e-4, abs=2e-6), metric
    history = rows_of(directory.with_name(name) / "history.csv")
    assert value(rows, "validation", "model", "mse") == pytest.approx(float(history[-1]["val_mse"]), rel=1e-4)
    # Beside the run with the embedding.
    results = out.parent
    compared = {row["metric"]: row for row in compare_runs(results / RUN, results / name)[0]}
    mine = rows_of(results / RUN / "metrics.csv")
    for metric in MEASURED:
        pair = value(mine, "test", "model", metric), value(rows, "test", "model", metric)
        assert (compared[metric]["one"], compared[metric]["other"]) == pytest.approx(pair, rel=1e-12)
        assert compared[metric]["low"] <= compared[metric]["high"]
    text = (results / "summary.md").read_text()
    assert "## With and without the embedding" in text and f"| {RUN} | {name} | RMSE |" in text
    assert {row["run"] for row in rows_of(results / "summary.csv")} == {RUN, name}
    assert (
        value([r for r in rows_of(results / "summary.csv") if r["run"] == RUN], "test", "paper", "accuracy")
        == 0.5394033
    )


@pytest.mark.parametrize("weights", ["huge", "NaN"])
def test_a_diverged_run_is_evaluated_as_what_it_is(own, weights):
    from pipeline.networks import builder

    dataset, directory = own
    name = "dot_lr9e5_bs4"
    train(dataset, directory.with_name(name), name, epochs=20)
    if weights == "NaN":
        model = builder.build("dot", start_at=(np.nan, np.nan), architectures=DOT)
        plant(directory.with_name(name), model, "last")
    out = evaluate(dataset, directory.with_name(name), name, weights="last", pictures=2)
    rows = rows_of(out / "metrics.csv")
    record = yaml.safe_load((out / "run.yaml").read_text())
    assert record["status"].startswith("diverged in epoch")
    assert record["findings"] == [
        f"The network's answers are not numbers ({record['status']}); only their accuracy can be scored."
    ]
    for metric in set(MEASURED) - {"accuracy"}:
        assert np.isnan(value(rows, "test", "model", metric)), metric
    reasons = {r["settings"].split("; ")[-1] for r in rows if (r["answer"], r["partition"]) == ("model", "test")}
    assert "no interval: not a finite number for every image or resample" in reasons
    # NaN counts as index 0: the share of pixels with a >= b, as in the paper's own diverged run.
    ab = dataset.arrays("test")[1]
    said = saved_answer(dataset, directory.with_name(name), "model", "test")[1]
    assert not np.isfinite(said).all(axis=(1, 2, 3)).any()
    assert np.isnan(said).all() == (weights == "NaN")
    # Which sums of huge weights are infinite instead depends on their order, and so on the processor.
    numbers = np.mean(~np.isnan(said).all(axis=-1))
    assert numbers < 0.1
    share = np.mean(ab[..., 0] >= ab[..., 1])
    assert value(rows, "test", "model", "accuracy") == pytest.approx(share, rel=1e-12, abs=numbers)
    assert {path.name for path in out.iterdir()} == RESULT_FILES
    assert not list((out / "pictures").iterdir())
    assert "diverged" in (out.parent / "summary.md").read_text()
    assert "no answer: not a number" in (out.parent / "summary.md").read_text()


def test_a_network_that_answers_gray_scores_as_gray_and_is_told_so(own, undrawn):
    from pipeline.networks import builder

    dataset, directory = own
    model = builder.build("dot", l2=0.1, start_at=(128.0, 128.0), architectures=DOT)
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.assign(np.zeros(layer.kernel.shape))
    plant(directory, model)
    out = evaluate(dataset, directory)
    rows = rows_of(out / "metrics.csv")
    for metric in set(MEASURED) - {"loss"}:
        assert value(rows, "test", "model", metric) == pytest.approx(value(rows, "test", "gray", metric)), metric
    findings = yaml.safe_load((out / "run.yaml").read_text())["findings"]
    assert findings[0] == "The network answers one colour everywhere, a = 128, b = 128: it has learned no colours."
    assert "The colours are all but gray: 0% of the true pictures' chroma." in findings
    assert not any(": better" in sentence for sentence in findings)
    for row in rows_of(out / "differences.csv"):
        if row["partition"] == "test" and row["against"] in ("gray", *OWN[1:]):
            assert (float(row["value"]), row["verdict"]) == (0.0, "no clear difference"), row
    for row in dataset.rows("test"):
        with Image.open(out / "pictures" / jpeg.name(row)) as picture:
            assert np.ptp(np.asarray(picture).astype(int), axis=-1).max() <= 2
    assert (
        "| one colour everywhere; RMSE no better than mean colour; RMSE no better than gray; "
        in (out.parent / "summary.md").read_text()
    )
    assert all(f"  {sentence}" in headline(out).splitlines() for sentence in findings)


@pytest.mark.parametrize("broken", ["images.jpeg.write_jpeg", "results.model_card.write"])
def test_a_failure_leaves_the_old_results(own, undrawn, monkeypatch, broken):
    dataset, directory = own
    before = tree(result_of(directory).parent)
    monkeypatch.setattr(f"pipeline.{broken}", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        evaluate(dataset, directory)
    assert tree(result_of(directory).parent) == before


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
    with pytest.raises(InputError, match=rf"{name} is damaged: .*; run `python -m stages verify`"):
        evaluate(dataset, directory)
    path.unlink()
    with pytest.raises(InputError, match=rf"{name} is missing: .*; run `python -m stages verify`"):
        evaluate(dataset, directory)


def test_references_of_other_images_are_refused(own):
    dataset, directory = own
    path = dataset.baselines.with_suffix(".json")
    files.write_json(path, {**files.read_json(path), "images": "others"})
    with pytest.raises(InputError, match=r"images: 'others', now '\w+'\); run baselines again"):
        evaluate(dataset, directory)
    path.unlink()
    with pytest.raises(InputError, match=r"baselines\.json does not exist"):
        evaluate(dataset, directory)


def test_results_come_whole_and_once(own, undrawn):
    dataset, directory = own
    old = directory / "evaluation" / files.LISTING  # where an earlier version put the scores first
    files.write_json(old, {"files": {}})
    (result_of(directory) / "stray").touch()
    target = evaluate(dataset, directory)
    assert not old.parent.exists()
    assert {path.name for path in target.iterdir()} == RESULT_FILES
    listed = files.read_json(target / files.LISTING)["files"]
    assert listed == files.digests(target) and listed.keys() == tree(target).keys() - {files.LISTING}
    assert (target / "history.csv").read_bytes() == (directory / "history.csv").read_bytes()
    assert len(list((target / "pictures").iterdir())) == 10
    assert sorted(path.name for path in target.parent.iterdir()) == [
        ".summary.lock", RUN, "summary.csv", "summary.json", "summary.md", "sweep.png", "sweep.svg"
    ]  # fmt: skip
    told = headline(target).splitlines()
    assert told[0] == f"{RUN}, test images:" and told[1].startswith("  RMSE ")


def test_damaged_results_are_no_reason_to_refuse_other_settings(own, undrawn):
    dataset, directory = own
    path = result_of(directory) / "run.yaml"
    path.write_text(path.read_text().replace("pictures: 2", "pictures: 5"))
    evaluate(dataset, directory)
    assert yaml.safe_load(path.read_text())["configuration"]["evaluation"]["pictures"] == 2


def test_no_headline_without_results(tmp_path):
    with pytest.raises(InputError, match=r"base_lr1e-4: expected the results of a run, received no run\.yaml; name a"):
        headline(tmp_path / "base_lr1e-4")


def test_a_run_that_was_not_trained_is_refused(own):
    dataset, directory = own
    with pytest.raises(InputError, match=r"dot_lr1e-3.training\.json does not exist"):
        evaluate(dataset, directory.with_name("dot_lr1e-3"), "dot_lr1e-3")
    assert not result_of(directory).with_name("dot_lr1e-3").exists()


def warm(known):
    """A baseline of our own: a sepia that is stronger where it is lighter."""
    return lambda batch: 128 + batch.truth.lightness[..., None] / 255.0 * [10, 20]


def test_a_baseline_from_outside_is_scored_compared_and_shown(own, undrawn, monkeypatch):
    from pipeline.results import page

    dataset, directory = own
    before = rows_of(dataset.baselines)
    monkeypatch.setitem(
        predictors.BASELINES, "sepia", predictors.Baseline("sepia", "sepia tone", "sepia everywhere", warm)
    )
    with pytest.raises(InputError, match=r"more: None, now \['sepia'\]"):
        score_baselines(dataset.images, dataset.splits, dataset.baselines, batch_size=3)
    with pytest.raises(InputError, match=r"\(settings\.more: None, now \['sepia'\]\); run baselines again"):
        evaluate(dataset, directory)
    score_baselines(dataset.images, dataset.splits, dataset.baselines, batch_size=3, replace=True)

    after = rows_of(dataset.baselines)
    lightness, ab, _ = dataset.arrays("test")
    answer = np.stack([128 + lightness / 255 * 10, 128 + lightness / 255 * 20], axis=-1)
    for metric, number in literal(lightness, ab, answer).items():
        assert value(after, "test", "sepia", metric) == pytest.approx(number, rel=1e-9), metric
    assert [row for row in after if row["answer"] != "sepia"] == before
    read = read_baselines(dataset.baselines, dataset.images, dataset.splits, 0)
    assert read.answers["sepia"]["mse"].shape == (15,)

    out = evaluate(dataset, directory)
    rows = rows_of(out / "metrics.csv")
    assert [r for r in rows if r["answer"] == "sepia"] == [{**r, "run": RUN} for r in after if r["answer"] == "sepia"]
    compared = [r for r in rows_of(out / "differences.csv") if (r["partition"], r["against"]) == ("test", "sepia")]
    assert {r["metric"] for r in compared} >= {"rmse", "ciede2000", "accuracy", "ssim"}
    (rmse,) = [float(r["value"]) for r in compared if r["metric"] == "rmse"]
    both = [value(rows, "test", answer, "rmse") for answer in ("model", "sepia")]
    assert rmse == pytest.approx(both[0] - both[1], rel=1e-9)
    results = out.parent
    assert "sepia" in {row["answer"] for row in rows_of(results / "summary.csv")}
    page.write_report(results, lambda _: dataset.folder / "pictures")
    assert "sepia everywhere" in (results / "index.html").read_text()
    assert "sepia tone" in (results / "report" / f"{RUN}.html").read_text()
    monkeypatch.undo()  # a page needs no baseline of those that it shows
    page.write_report(results, lambda _: dataset.folder / "pictures")
    assert "sepia" in (results / "report" / f"{RUN}.html").read_text()


def test_a_name_is_of_one_baseline():
    with pytest.raises(InputError, match="baseline gray"):
        predictors.register(predictors.Baseline("gray", "gray", "gray", warm))
