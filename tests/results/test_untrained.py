"""A predictor that needs no training, registered by a module outside DeepColor, in every stage."""

import math
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from evaluations import RUN
from PIL import Image
from tiny import DOT, gray_photograph, literal, rows_of, tree, value

from pipeline.config.loading import parse_config
from pipeline.core import files, plugins
from pipeline.evaluation import untrained
from pipeline.planning import check, due, estimate
from pipeline.results import costs, ranking
from stages.__main__ import main

# Warmer where it is lighter; no answers for training images.
TINT = """
from typing import Annotated

from pydantic import Field

from pipeline.config.values import Section
from pipeline.evaluation import untrained


class Options(Section):
    warmth: Annotated[int, Field(ge=0)] = 10


def make(given, options):
    warmth = [options.warmth + given.seed, 2 * options.warmth]
    return lambda batch: 128 + batch.truth.lightness[..., None] / 255.0 * warmth


untrained.register(
    untrained.Untrained(
        "tint", "is warmer where it is lighter", make, Options, partitions=("validation", "test"), packages=("numpy",),
        seconds=0.5,
    )
)
"""


@pytest.fixture
def call(own, undrawn, tmp_path, monkeypatch):
    """Call a stage beside an evaluated network, with experiments of the toy predictor."""
    dataset, directory = own
    (tmp_path / "deepcolor_tint.py").write_text(TINT)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(plugins.VARIABLE, "deepcolor_tint")
    monkeypatch.delitem(sys.modules, "deepcolor_tint", raising=False)
    monkeypatch.chdir(directory.parents[1])
    monkeypatch.delenv("DEEPCOLOR_CONFIG", raising=False)
    values = {
        "dataset": "tiny",
        "datasets": {"tiny": {"kind": "kaggle", "path": str(dataset.folder.parent / "tiny-archive")}},
        "images_per_shard": 8,
        "architectures": {name: architecture.model_dump() for name, architecture in DOT.items()},
        "split": {"train": 0.2, "validation": 0.13, "test": 0.67},
        "evaluation": {"batch_size": 3, "pictures": 2, "recognition": None},
        "experiments": {"tint": {"predictor": "tint"}, "strong": {"predictor": {"name": "tint", "warmth": 40}}},
        "sweeps": {"warmths": {"extends": "strong", "grid": {"predictor.warmth": [0, 20]}}},
    }

    def call(*arguments, configured=True, status=0, **changes):
        (directory.parents[1] / "mine.yaml").write_text(yaml.safe_dump({**values, **changes}))
        config = ["--config", "mine.yaml"] if configured else []
        result = CliRunner().invoke(main, [*map(str, arguments), *config])
        assert result.exit_code == status, result.output
        return result.output

    call.config = values
    with mock.patch.dict(untrained.UNTRAINED):
        yield call


def made(call, name="tint"):
    call("train", name)
    call("evaluate", name)
    return value_rows(name)


def value_rows(name):
    return rows_of(Path(f"results/{name}/metrics.csv"))


def test_it_is_scored_by_the_ordinary_loop_without_files_of_a_network(own, call):
    dataset, _ = own
    rows = made(call)
    for partition in ("validation", "test"):
        lightness, ab, _ = dataset.arrays(partition)
        answer = np.stack([128 + lightness / 255 * 10, 128 + lightness / 255 * 20], axis=-1)
        for metric, number in literal(lightness, ab, answer).items():
            assert value(rows, partition, "model", metric) == pytest.approx(number, rel=1e-6), metric
    assert {row["partition"] for row in rows if row["answer"] == "model"} == {"validation", "test"}
    assert {row["partition"] for row in rows_of(Path("results/tint/per_image.csv"))} == {"validation", "test"}
    assert {row["partition"] for row in rows_of(Path("results/tint/differences.csv"))} == {"validation", "test"}
    assert {row["answer"] for row in rows} == {"model", "gray", "mean", "majority", "shuffled", "ceiling"}
    summary = files.read_json(Path("models/tint/training.json"))
    assert (summary["status"], summary["epochs"], summary["files"]) == ("finished", 0, {})
    assert summary["settings"]["predictor"] == "tint" and "architecture" not in summary["settings"]
    assert sorted(tree(Path("models/tint"))) == ["settings.json", "training.json"]
    written = set(tree(Path("results/tint")))
    assert not written & {"model.keras", "history.csv", "curves.png", "head.npz"}
    assert {"predictions.png", "errors.png", "chroma.png", "model-card.md", "run.yaml"} <= written
    record = yaml.safe_load(Path("results/tint/run.yaml").read_text())
    assert "weights_sha256" not in record and record["versions"]["numpy"] == np.__version__


def equal_files():
    return tree(Path("models/tint")), tree(Path("results/tint"))


def test_options_and_seeds_are_runs_of_their_own(call):
    found = {name: made(call, name) for name in ("tint", "tint_s3", "strong")}
    errors = {name: value(rows, "test", "model", "rmse") for name, rows in found.items()}
    assert len(set(errors.values())) == 3
    assert files.read_json(Path("models/strong/training.json"))["settings"]["predictor"] == {
        "name": "tint",
        "warmth": 40,
    }
    assert files.read_json(Path("models/tint_s3/training.json"))["settings"]["experiment"] == {
        "name": "tint",
        "seed": 3,
    }


def test_it_is_shown_and_compared_beside_networks(call):
    made(call)
    for stage in ("report", "summary", "verify"):
        call(stage)
    call("show", "results/tint", configured=False)
    call("table", "results/tint", f"results/{RUN}", configured=False)
    (cost,) = rows_of(Path("models/tint/predicting_times.csv"))
    assert int(cost["images"]) > 0 and float(cost["seconds_per_image"]) > 0
    read = costs.read(parse_config(call.config), "tint")
    assert read.seconds_per_image == float(cost["seconds_per_image"]) and math.isnan(read.parameters)
    assert "strong: predictor tint, warmth 40" in call("config", "strong")
    summary = Path("results/summary.md").read_text()
    assert "| tint | none | 0 | needs no training |" in summary
    page = Path("results/report/tint.html").read_text()
    assert "needs no training" in page and "weights it started from" not in page
    card = Path("results/tint/model-card.md").read_text()
    assert "tint, warmth 10" in card and "is warmer where it is lighter" in card and "Keras" not in card
    compared = call("compare", "results/tint", f"results/{RUN}", configured=False)
    (line,) = [line.split() for line in compared.splitlines() if line.split()[:1] == ["rmse"]]
    expected = [value(value_rows(name), "test", "model", "rmse") for name in ("tint", RUN)]
    assert [float(each) for each in line[1:3]] == pytest.approx(expected, abs=1e-4)
    message = call("compare", f"results/{RUN}", "results/tint", "--partition", "train", configured=False, status=2)
    assert "results/tint: " in message and "--partition" in message
    message = call("table", "results/tint", "--partition", "train", configured=False, status=2)
    assert "tint: " in message and "--partition" in message


def test_a_sweep_ranks_its_options(call):
    for name in ("warmths.warmth-0", "warmths.warmth-20"):
        made(call, name)
    ranked = ranking.write(parse_config(call.config), "warmths")
    scores = {each.combination.name: each.over_images[0] for each in ranked}
    assert scores == {
        name: pytest.approx(value(value_rows(name), "validation", "model", "rmse"))
        for name in ("warmths.warmth-0", "warmths.warmth-20")
    }


def test_made_runs_are_due_only_after_a_change(call):
    made(call)
    config = parse_config(call.config)
    before = equal_files()
    for stage in ("train", "evaluate"):
        assert due.is_made(config, stage, "tint") and not due.is_made(config, stage, "strong")
    made(call)
    assert equal_files() == before
    other = {**call.config, "experiments": {"tint": {"predictor": {"name": "tint", "warmth": 1}}}}
    other.pop("sweeps")
    config = parse_config(other)
    assert any("predictor" in reason for reason in due.reasons(config, "train", "tint"))
    message = call("train", "tint", status=2, experiments=other["experiments"], sweeps={})
    assert "models/tint" in message and "predictor" in message and "replace" in message
    call("train", "tint", "--replace", experiments=other["experiments"], sweeps={})
    assert files.read_json(Path("models/tint/training.json"))["settings"]["predictor"] == {"name": "tint", "warmth": 1}


@pytest.mark.parametrize(
    "command",
    [
        ["colorize", "photograph.png", "--out", "coloured", "--run", "results/tint"],
        ["export", "results/tint", "--to", "onnx"],
        ["publish", "results/tint", "--out", "published"],
    ],
)
def test_what_needs_a_network_is_refused(call, command):
    made(call)
    Image.fromarray(gray_photograph(20, 30)).save("photograph.png")
    message = call(*command, configured=False, status=2)
    assert len(message.splitlines()) == 1 and "results/tint" in message and "network" in message


@pytest.mark.parametrize(
    ("predictor", "key"),
    [
        ("tont", "predictor: "), ({"name": "tint", "warmth": -1}, "predictor.warmth: "),
        ({"name": "tint", "colour": 1}, "predictor.colour: "),
    ],
)  # fmt: skip
def test_an_unknown_predictor_or_option_is_refused_before_any_work(call, predictor, key):
    experiments = {"wrong": {"predictor": predictor}}
    message = call("train", "wrong", status=2, experiments=experiments, sweeps={})
    assert f"experiments.wrong.{key}" in message
    with pytest.raises(Exception, match=f"experiments.wrong.{key}"):
        check.check_data(parse_config({"experiments": experiments}))


def test_its_cost_is_estimated_from_the_photographs_that_it_predicts(call):
    call("summary")
    config = parse_config(call.config)
    lines = estimate.plan(config, [("train", "tint"), ("evaluate", "tint")])
    assert "15 images; 2 jobs" in lines[0]
