"""A baseline that a module outside DeepColor registers."""

import numpy as np
import pytest
from evaluations import RUN, evaluate
from tiny import literal, rows_of, value

from pipeline.config.schema import Evaluation
from pipeline.core.errors import InputError
from pipeline.evaluation import predictors
from pipeline.evaluation.baselines import read_baselines, score_baselines


def warm(known):
    """A baseline of our own: a sepia that is stronger where it is lighter."""
    return lambda batch: 128 + batch.truth.lightness[..., None] / 255.0 * [10, 20]


@pytest.mark.slow
def test_a_baseline_from_outside_is_scored_compared_and_shown(own, undrawn, monkeypatch):
    from pipeline.results import page

    dataset, directory = own
    before = rows_of(dataset.baselines)
    monkeypatch.setitem(
        predictors.BASELINES, "sepia", predictors.Baseline("sepia", "sepia tone", "sepia everywhere", warm)
    )
    with pytest.raises(InputError, match=r"more: None, now \['sepia'\]"):
        score_baselines(dataset.images, dataset.splits, dataset.baselines, Evaluation(batch_size=3))
    with pytest.raises(InputError, match=r"settings\.more: None, now \['sepia'\].*\bbaselines\b"):
        evaluate(dataset, directory)
    score_baselines(dataset.images, dataset.splits, dataset.baselines, Evaluation(batch_size=3), replace=True)

    after = rows_of(dataset.baselines)
    lightness, ab, _ = dataset.arrays("test")
    answer = np.stack([128 + lightness / 255 * 10, 128 + lightness / 255 * 20], axis=-1)
    for metric, number in literal(lightness, ab, answer).items():
        assert value(after, "test", "sepia", metric) == pytest.approx(number, rel=1e-9), metric
    assert [row for row in after if row["answer"] != "sepia"] == before
    read = read_baselines(dataset.baselines, dataset.images, dataset.splits)
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
