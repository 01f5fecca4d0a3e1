"""The words for metrics and answers, and the format of values."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.embedding import registry
from pipeline.evaluation import scores, vocabulary
from pipeline.evaluation.measures import METRICS
from pipeline.evaluation.predictors import BASELINES
from pipeline.evaluation.vocabulary import number, signed

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_every_metric_has_words():
    for name in (*METRICS, "frechet_some_network"):
        term = vocabulary.term(name)
        assert term.label and term.meaning and term.digits > 0 and term.better in ("lower", "higher", None)
    assert "some_network" in vocabulary.term("frechet_some_network").meaning
    labels = {name: vocabulary.term(f"frechet_{name}").label for name in ("inception_fid", "inception_v3")}
    assert labels == {"inception_fid": "FID", "inception_v3": "Fréchet distance"}


def test_tables_begin_with_the_rmse_and_contain_every_metric_once():
    assert vocabulary.metrics()[0] == "rmse" and sorted(vocabulary.metrics()) == sorted(METRICS)


def test_an_embedding_network_that_is_registered_later_has_metrics(monkeypatch):
    late = replace(registry.ENTRIES["efficientnet_lite0"], name="late", label="Late")
    monkeypatch.setitem(registry.ENTRIES, "late", late)
    assert vocabulary.metrics()[-2:] == ["recognised_top1_late", "recognised_top5_late"] == list(METRICS)[-2:]
    assert vocabulary.term("recognised_top1_late").meaning.endswith("by Late")
    monkeypatch.undo()
    assert "recognised_top1_late" not in METRICS


def test_the_documentation_gives_the_same_directions():
    rows = [line.split("|") for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    documented = {name: row[3].strip() for row in rows if len(row) == 6 for name in re.findall(r"`(\w+)`", row[1])}
    by_network = [name for name in METRICS if name.startswith("recognised_") and not name.endswith("_lite0")]
    for name in {*METRICS, "frechet_efficientnet_lite0"} - {*by_network}:
        assert documented[name] == (vocabulary.term(name).better or ""), name


def test_answers_keep_the_order_of_tables_and_have_a_heading():
    answers = vocabulary.answers()
    assert [answer for answer in answers if answer in BASELINES] == list(BASELINES)
    assert answers[0] == scores.MODEL and len({vocabulary.heading(answer) for answer in answers}) == len(answers)


def test_unknown_names_are_kept():
    assert vocabulary.term("unheard").label == "unheard" == vocabulary.heading("unheard")
    assert number(0.5, "unheard") == "0.5000"


@pytest.mark.parametrize(
    ("value", "text"),
    [(math.nan, "NaN"), (math.inf, "∞"), (-math.inf, "−∞"), (-1.0, "−1.00"), (1e7, "1.000e+07")],
)
def test_special_values(value, text):
    assert number(value, "rmse") == text


def test_a_difference_has_a_sign():
    assert [number(value, "accuracy", sign=True) for value in (0.5, -0.25, 1e-7)] == [
        "+0.5000",
        "−0.2500",
        "+0.0000001",
    ]


def test_a_nonzero_difference_does_not_read_as_zero():
    texts = [signed(value, 2) for value in (0.00287, -0.004, 0.0, 1.294, -0.01, math.nan, 0.005, -1e-9)]
    assert texts == ["+0.003", "-0.004", "+0.00", "+1.29", "-0.01", "+nan", "+0.01", "-0.000000001"]
