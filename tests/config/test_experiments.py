"""Named experiments: runs with their own settings."""

import json

import pytest
from tiny import DOT

from pipeline.config import schema
from pipeline.config.loading import parse_config
from pipeline.config.run_settings import run_settings
from pipeline.config.runs import Run, find, layered
from pipeline.core.errors import InputError

WIDE = {"architecture": "base", "learning_rate": "1e-4", "batch_size": 8, "seed": 2, "training": {"epochs": 20}}


def config(**experiments):
    return parse_config({"experiments": experiments or {"wide": WIDE}, "training": {"epochs": 3, "patience": 1}})


def refused(call):
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_experiment_is_a_run_by_its_name_and_with_other_seeds():
    run = find(config(), "wide")
    parts = (run.architecture, run.learning_rate, run.l2, run.batch_size, run.seed, run.embedding)
    assert parts == ("base", "1e-4", "1e-2", 8, 2, True)
    assert run.name == "wide"
    for name, seed in (("wide_s3", 3), ("wide_s0", 0)):
        other = find(config(), name)
        assert (other.name, other.seed, other.experiment) == (name, seed, "wide")
        assert find(config(), "wide").learning_rate == other.learning_rate


def test_runs_of_the_grid_are_found_beside_experiments():
    assert find(config(), "base_lr1e-4_s2") == Run.parse("base_lr1e-4_s2")


def test_an_experiment_needs_an_architecture_and_a_learning_rate_only():
    run = find(config(short={"architecture": "dot", "learning_rate": 0.5}), "short")
    assert run == Run("dot", "5e-1", experiment="short")


def test_training_is_layered_over_the_configurations_and_survives_the_workflows_json():
    for given in (config(), parse_config(json.loads(config().model_dump_json()))):
        own = layered(given, find(given, "wide_s3"))
        assert (own.training.epochs, own.training.patience, own.experiments) == (20, 1, {})
        assert layered(given, find(given, "base_lr1e-4")).training.epochs == 3


def test_records_of_other_runs_say_nothing_of_experiments():
    given = config()
    assert layered(given, find(given, "base_lr1e-4")).model_dump() == config_without(given).model_dump()
    assert "experiments" not in schema.Config().model_dump()


def config_without(given):
    return parse_config({"training": given.training.model_dump()})


@pytest.mark.parametrize(
    "name", ["base_lr1e-4", "base_lr0.0001", "mine_s1_lr1e-2", "report", "wide_s7", "a.b", "", "1st", "a/b"]
)
def test_a_name_that_is_another_runs_or_no_folders_is_refused(name):
    message = refused(lambda: config(**{"wide": WIDE, name: WIDE}))
    assert f"experiments.{name}" in message


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"learning_rate": 0}, "learning_rate"), ({"l2": -1}, "l2"), ({"batch_size": 0}, "batch_size"),
        ({"seed": 2**32}, "seed"), ({"training": {"epoch": 1}}, "training.epoch"), ({"colour": 1}, "colour"),
        ({"training": {"epochs": 0}}, "training.epochs"), ({"architecture": "a b"}, "architecture"),
        ({"evaluation": {"weights": "last"}}, "evaluation"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_by_its_key(change, key):
    assert f"experiments.wide.{key}: " in refused(lambda: config(wide={**WIDE, **change}))


@pytest.mark.parametrize("missing", ["architecture", "learning_rate"])
def test_what_has_no_default_is_asked_for(missing):
    given = {key: value for key, value in WIDE.items() if key != missing}
    assert f"experiments.wide.{missing}: " in refused(lambda: config(wide=given))


def test_an_unknown_name_is_told_the_experiments():
    message = refused(lambda: find(config(wide=WIDE, deep=WIDE), "wode"))
    assert "wide, deep" in message


@pytest.mark.parametrize("name", ["wide_s2", "wide_s03", "wide_s4294967296", "wide_noembed", "wide_s1_s2", "w" * 300])
def test_another_spelling_of_an_experiments_seed_is_refused(name):
    refused(lambda: find(config(), name))


def settings_of(given, name):
    run = find(given, name)
    parts = {"dataset": "d", "limit": None, "images": {}, "embeddings": {}, "split": {}}
    return run_settings(run, layered(given, run).training, DOT["dot"], **parts)


def test_settings_of_an_experiment_tell_its_own_values_and_give_the_run_again():
    for name in ("wide", "wide_s3"):
        told = json.loads(json.dumps(settings_of(config(), name)))
        assert told["experiment"]["learning_rate"] == "1e-4" and told["training"]["patience"] == 1
        again = Run.of_settings(told)
        assert (again.name, again.as_experiment()) == (name, find(config(), name).as_experiment())
    assert settings_of(config(), "wide") != settings_of(config(wide={**WIDE, "l2": 0}), "wide")


def test_settings_of_a_run_of_the_grid_are_as_they_always_were():
    told = settings_of(config(), "base_lr1e-4")
    assert list(told) == ["run", "architecture", "training", "dataset", "limit", "images", "embeddings", "split"]
    assert Run.of_settings(told) == Run.parse("base_lr1e-4")


@pytest.mark.parametrize("told", [{}, {"run": "wide"}, {"run": "wide", "experiment": {}}, {"run": 5, "experiment": 3}])
def test_settings_that_name_no_run_are_refused(told):
    refused(lambda: Run.of_settings(told))


TINT = {"predictor": {"name": "tint", "warmth": 3}}


def test_an_experiment_may_name_a_predictor_instead_of_a_network():
    given = config(wide=WIDE, tint={**TINT, "seed": 4})
    for known in (given, parse_config(json.loads(given.model_dump_json()))):
        run = find(known, "tint_s7")
        assert (run.name, run.seed, run.predictor) == ("tint_s7", 7, TINT["predictor"])
        assert find(known, "tint").name == "tint" and find(known, "wide").predictor is None
        assert layered(known, run).training == known.training


def test_a_predictors_settings_have_no_network_and_give_the_run_back():
    run = find(config(tint=TINT), "tint_s7")
    parts = {"dataset": "tiny", "limit": None, "images": {}, "embeddings": {}, "split": {}}
    settings = run_settings(run, schema.Training(), None, **parts)
    assert settings == {
        "run": "tint_s7",
        "experiment": {"name": "tint", "seed": 7},
        "predictor": TINT["predictor"],
        **parts,
    }
    restored = Run.of_settings(settings)
    assert (restored.name, restored.seed, restored.predictor) == ("tint_s7", 7, TINT["predictor"])


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"predictor": 3}, "predictor"), ({"predictor": {"warmth": 3}}, "predictor"), ({"seed": -1}, "seed"),
        ({"architecture": "base"}, "architecture"), ({"training": {"epochs": 1}}, "training"),
    ],
)  # fmt: skip
def test_a_wrong_value_beside_a_predictor_is_named_by_its_key(change, key):
    assert f"experiments.tint.{key}: " in refused(lambda: config(tint={**TINT, **change}))
