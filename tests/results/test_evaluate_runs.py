"""Evaluation of unusual runs: without embedding, diverged, or predicting gray everywhere."""

import itertools

import numpy as np
import pytest
import yaml
from evaluations import DOT, OWN, RUN, evaluate, plant, train
from PIL import Image
from tiny import MEASURED, RESULT_FILES, literal, rows_of, value

from pipeline.config.runs import diverged
from pipeline.config.schema import Evaluation
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.evaluation import network, predictors
from pipeline.evaluation.baselines import score_baselines
from pipeline.images import jpeg
from pipeline.results.comparison import compare_runs
from pipeline.results.read import read_run
from pipeline.results.record import headline


@pytest.mark.slow
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
        if metric != "auc_rebalanced":  # whose intervals need more images
            assert compared[metric]["low"] <= compared[metric]["high"]
    text = (results / "summary.md").read_text()
    assert "## With and without the embedding" in text and f"| {RUN} | {name} | RMSE |" in text
    assert {row["run"] for row in rows_of(results / "summary.csv")} == {RUN, name}
    assert (
        value([r for r in rows_of(results / "summary.csv") if r["run"] == RUN], "test", "paper", "accuracy")
        == 0.5394033
    )


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["its own", "finite"])
def test_a_diverged_run_has_no_numbers_whatever_its_weights_answer(own, weights):
    from pipeline.networks import builder, saving

    dataset, directory = own
    name = "dot_lr9e5_bs4"
    train(dataset, directory.with_name(name), name, epochs=20)
    if weights == "finite":
        plant(directory.with_name(name), builder.build("dot", architectures=DOT), "last")
    out = evaluate(dataset, directory.with_name(name), name, weights="last", pictures=2)
    rows = rows_of(out / "metrics.csv")
    record = yaml.safe_load((out / "run.yaml").read_text())
    assert record["status"].startswith("diverged in epoch")
    assert record["findings"] == [
        f"The network's answers are not numbers ({record['status']}), so they cannot be scored."
    ]
    for answer, metric in itertools.product(OWN, MEASURED):
        assert np.isnan(value(rows, "test", answer, metric)), (answer, metric)
    reasons = {r["settings"].split("; ")[-1] for r in rows if (r["answer"], r["partition"]) == ("model", "test")}
    assert "no interval: not a finite number for every image" in reasons
    with pytest.raises(InputError, match=rf"^{out}/model\.keras: .*diverged"):
        saving.load(out / "model.keras")
    assert {path.name for path in out.iterdir()} == RESULT_FILES
    assert not list((out / "pictures").iterdir())
    assert "diverged" in (out.parent / "summary.md").read_text()
    assert "no answer: not a number" in (out.parent / "summary.md").read_text()


@pytest.mark.parametrize("status", ["diverged in epoch 2", "finished"])
def test_best_weights_that_an_earlier_version_took_from_a_diverged_epoch_are_not_scored(own, undrawn, status):
    from pipeline.networks import builder

    dataset, directory = own
    plant(directory, builder.build("dot", start_at=(np.nan, np.nan), architectures=DOT))
    trained = files.read_json(directory / "training.json")
    files.write_json(directory / "training.json", trained | {"status": status, "best_epoch": 2})
    out = evaluate(dataset, directory, replace=True)
    record = yaml.safe_load((out / "run.yaml").read_text())
    assert record["status"].startswith("diverged") and record["best_epoch"] is None and diverged(record)
    assert np.isnan(value(rows_of(out / "metrics.csv"), "test", "model", "accuracy"))
    assert "it is useless" in (out / "model-card.md").read_text()


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
            verdict = "no interval" if row["metric"] == "auc_rebalanced" else "no clear difference"
            assert (float(row["value"]), row["verdict"]) == (0.0, verdict), row
    for row in dataset.rows("test"):
        with Image.open(out / "pictures" / jpeg.name(row)) as picture:
            assert np.ptp(np.asarray(picture).astype(int), axis=-1).max() <= 2
    assert (
        "| one colour everywhere; RMSE no better than mean colour; RMSE no better than gray; "
        in (out.parent / "summary.md").read_text()
    )
    assert all(f"  {sentence}" in headline(out).splitlines() for sentence in findings)


@pytest.mark.slow
def test_training_images_need_not_be_scored(own, undrawn, monkeypatch):
    dataset, directory = own
    monkeypatch.setattr(network, "MOST_SHUFFLES", 1)
    whole = {name: rows_of(evaluate(dataset, directory) / name) for name in ("metrics.csv", "per_image.csv")}
    given = dataset.images, dataset.splits, dataset.baselines, Evaluation(batch_size=3, train=False)
    with pytest.raises(InputError, match="train"):
        score_baselines(*given)
    score_baselines(*given, replace=True)
    with pytest.raises(InputError, match="train"):
        evaluate(dataset, directory, train=False)
    out = evaluate(dataset, directory, train=False, replace=True)
    for name, rows in whole.items():
        assert any(row["partition"] == "train" for row in rows)
        rows, left = [row for row in rows if row["partition"] != "train"], rows_of(out / name)
        for column in rows[0]:
            expected, found = ([row[column] for row in each] for each in (rows, left))
            if column in ("value", "low", "high"):  # other batches round differently
                expected, found = (np.array([text or "nan" for text in each], float) for each in (expected, found))
                np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
            else:
                assert found == expected, column
    run = read_run(out, RUN, images=True)
    assert not run.problems and (run.counts, run.groups) == (
        {"train": "3", "validation": "2", "test": "10"}, {"train": 3, "validation": 2, "test": 10},
    )  # fmt: skip
    assert "| train | 3 | 3 |" in (out / "model-card.md").read_text()
