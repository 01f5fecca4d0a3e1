"""Searches: every trial is an experiment whose values are allowed."""

import json

import pytest

from pipeline.config import searches
from pipeline.config.loading import every_value, parse_config
from pipeline.config.runs import find, layered
from pipeline.core.errors import InputError
from pipeline.planning.settings import maps_of_search

PLAIN = {"architecture": "arch3", "learning_rate": 1e-3, "training": {"epochs": 4, "mirror": True}}
VIVID = {
    "extends": "plain",
    "space": {
        "learning_rate": {"low": "1e-4", "high": 1e-2, "log": True},
        "batch_size": {"low": 2, "high": 9},
        "training.optimizer": ["adam", "adamw"],
        "head": {"mse": "regression", "l1": {"name": "regression", "loss": "l1"}},
    },
}


def config(**changes):
    return parse_config(
        {"experiments": {"plain": PLAIN, "gray": {"predictor": "gray"}}, "searches": {"vivid": {**VIVID, **changes}}}
    )


def test_a_trial_is_an_experiment_with_its_values():
    values = {"learning_rate": 2.5e-4, "batch_size": 7, "training.optimizer": "adamw", "head": "l1"}
    given = searches.with_trial(config(), "vivid", 3, values)
    run = find(given, "vivid.trial-3")
    assert (run.name, run.learning_rate, run.batch_size) == ("vivid.trial-3", "2.5e-4", 7)
    assert run.head == {"name": "regression", "loss": "l1"}
    training = layered(given, run).training
    assert (training.optimizer, training.epochs, training.mirror) == ("adamw", 4, True)
    shown = searches.combination("vivid", 3, values).values
    assert shown == {"learning_rate": "2.5e-4", "batch_size": "7", "training.optimizer": "adamw", "head": "l1"}


def test_each_end_and_each_choice_is_tried_before_the_search():
    found = list(searches.ends(config().searches["vivid"]))
    for key, values in {"learning_rate": {1e-4, 1e-2}, "batch_size": {2, 9}, "head": {"mse", "l1"}}.items():
        assert {each[key] for each in found} == values
    reading = {"extends": "plain", "space": {"architecture": ["arch3", "color"]}}
    given = parse_config({"experiments": {"plain": {**PLAIN, "head": "regression"}}, "searches": {"maps": reading}})
    assert maps_of_search(given, "maps") and not maps_of_search(config(), "vivid")


def test_a_search_survives_the_workflow_s_json_and_the_printed_configuration():
    given = config()
    assert parse_config(json.loads(given.model_dump_json())) == given
    assert parse_config(json.loads(json.dumps(every_value(given)))) == given
    assert "searches" not in parse_config({}).model_dump()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"extends": "nothing"}, "searches.vivid.extends: "),
        ({"extends": "gray"}, "searches.vivid.extends: "),
        ({"space": {}}, "searches.vivid.space: "),
        ({"space": {"learning_rate": {"low": 1, "high": 0}}}, "searches.vivid.space.learning_rate"),
        ({"space": {"l2": {"low": 0, "high": 1, "log": True}}}, "searches.vivid.space.l2"),
        ({"space": {"learning_rate": {"low": 0, "high": 1}}}, "searches.vivid.space: learning_rate: "),
        ({"space": {"batch_size": {"low": 1.5, "high": 3}}}, "searches.vivid.space: batch_size: "),
        ({"space": {"training.optimizer": ["sgd"]}}, "searches.vivid.space: training.optimizer: "),
        ({"space": {"l2": [1e-3, "1e-3"]}}, "space.l2: "),
        ({"space": {"rate": [1, 2]}}, "searches.vivid.space: rate: "),
        ({"space": {"seed": [1, 2]}}, "space.seed: "),
        ({"trials": 0}, "searches.vivid.trials: "),
    ],
)
def test_a_search_that_cannot_be_is_refused(change, key):
    with pytest.raises(InputError) as caught:
        config(**change)
    assert key in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_search_and_one_named_like_a_sweep_are_refused():
    with pytest.raises(InputError, match="vivid"):
        searches.check(config(), "vived")
    sweep = {"extends": "plain", "seeds": [0, 1]}
    with pytest.raises(InputError, match=r"searches\.vivid: .*sweep"):
        parse_config({"experiments": {"plain": PLAIN}, "sweeps": {"vivid": sweep}, "searches": {"vivid": VIVID}})
