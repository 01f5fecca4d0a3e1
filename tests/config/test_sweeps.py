"""Sweeps: every combination of some settings is an experiment."""

import json

import pytest

from pipeline.config.loading import every_value, parse_config, with_experiment_files
from pipeline.config.runs import find, layered
from pipeline.config.sweeps import check, of_config
from pipeline.core.errors import InputError

PLAIN = {"architecture": "arch3", "learning_rate": 1e-3, "training": {"epochs": 4, "mirror": True}}
LOSSES = {"mse": "regression", "l1": {"name": "regression", "loss": "l1"}}
RATES = {
    "extends": "plain",
    "grid": {"learning_rate": ["1e-2", 2.5e-4], "training.mirror": [False, True], "head": LOSSES},
    "points": {"small": {"batch_size": 2}, "large": {"batch_size": 50, "training": {"epochs": 9}}},
    "seeds": [0, 3],
}


def config(**sweeps):
    return parse_config({"experiments": {"plain": PLAIN}, "sweeps": sweeps or {"rates": RATES}})


def refused(values):
    with pytest.raises(InputError) as caught:
        parse_config(values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_sweep_has_every_combination_of_its_grid_and_points_with_every_seed():
    given = config()
    found = of_config(given, "rates")
    assert len({each.name for each in found}) == 16 and all(len(each.runs) == 2 for each in found)
    assert found[0].name == "rates.learning_rate-1e-2.mirror-false.head-mse.small"
    assert found[-1].runs == tuple(
        f"rates.learning_rate-2.5e-4.mirror-true.head-l1.large{seed}" for seed in ("", "_s3")
    )
    assert found[-1].values == {"learning_rate": "2.5e-4", "training.mirror": "true", "head": "l1", "point": "large"}
    run = find(given, found[-1].runs[1])
    assert (run.learning_rate, run.batch_size, run.seed, run.head) == ("2.5e-4", 50, 3, LOSSES["l1"])
    training = layered(given, run).training
    assert (training.epochs, training.mirror) == (9, True)
    assert layered(given, find(given, found[0].name)).training.epochs == 4
    assert layered(given, run).sweeps == {}


def test_a_sweep_survives_the_workflow_s_json_and_the_printed_configuration():
    given = config()
    assert parse_config(json.loads(given.model_dump_json())) == given
    assert parse_config(json.loads(json.dumps(every_value(given)))) == given
    assert "sweeps" not in parse_config({}).model_dump()


def test_an_experiment_is_layered_over_the_one_that_it_extends():
    given = parse_config(
        {
            "experiments": {
                "plain": PLAIN,
                "long": {"extends": "plain", "training": {"epochs": 50}, "head": LOSSES["l1"]},
                "longest": {"extends": "long", "seed": 7, "training": {"patience": 5}, "head": "tanh"},
            }
        }
    )
    run = find(given, "longest")
    assert (run.architecture, run.learning_rate, run.seed, run.head) == ("arch3", "1e-3", 7, "tanh")
    training = layered(given, run).training
    assert (training.epochs, training.patience, training.mirror) == (50, 5, True)


@pytest.mark.parametrize(
    ("experiments", "key"),
    [
        ({"one": {**PLAIN, "extends": "one"}}, "experiments.one.extends: "),
        ({"one": {"extends": "two"}, "two": {"extends": "one"}}, ".extends: "),
        ({"one": {"extends": "nothing"}}, "experiments.one.extends: "),
        ({"one": {"extends": ["two"]}}, "experiments.one.extends: "),
        ({"one.two": PLAIN}, "experiments.one.two: "),
    ],
)
def test_an_experiment_that_cannot_be_is_refused(experiments, key):
    assert key in refused({"experiments": experiments})


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"extends": "nothing"}, "sweeps.rates.extends: "),
        ({"grid": {}, "points": {}, "seeds": []}, "sweeps.rates: "),
        ({"grid": {"learning_rate": [1e-3, "1e-3"]}}, "grid.learning_rate: "),
        ({"grid": {"learning_rate": []}}, "sweeps.rates.grid.learning_rate"),
        ({"grid": {"rate": [1]}}, "rate: "),
        ({"grid": {"seed": [1, 2]}}, "grid.seed: "),
        ({"grid": {"training.optimizer": ["a/b"]}}, "grid.training.optimizer: "),
        ({"grid": {"training.optimizer": ["sgd"]}}, "training.optimizer: "),
        ({"seeds": [1, 1]}, "seeds: "),
        ({"points": {"a b": {}}}, "sweeps.rates.points"),
        ({"grid": {}, "points": {"a": {"seed": None}}}, "experiments.rates.a.seed: "),
        ({"grid": {"batch_size": list(range(1, 600))}}, "combinations"),
        ({"sizes": [1]}, "sweeps.rates.sizes: "),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(change, key):
    assert key in refused({"experiments": {"plain": PLAIN}, "sweeps": {"rates": {**RATES, **change}}})


def test_an_unknown_sweep_is_told_those_that_there_are():
    with pytest.raises(InputError, match="rates"):
        check(config(), "rate")


def test_experiments_may_be_files_of_their_own(tmp_path):
    (tmp_path / "vivid.yaml").write_text("# Two minutes.\nextends: plain\ntraining: {epochs: 7}\n")
    given = parse_config(with_experiment_files({"experiments": {"plain": PLAIN}}, tmp_path))
    assert layered(given, find(given, "vivid_s1")).training.epochs == 7
    changed = parse_config(with_experiment_files({"experiments": {"plain": PLAIN, "vivid": {"seed": 4}}}, tmp_path))
    assert changed.experiments["vivid"].seed == 4 and changed.experiments["vivid"].training.epochs == 7
    assert with_experiment_files({"experiments": 5}, tmp_path) == {"experiments": 5}
    assert with_experiment_files({"limit": 3}, tmp_path / "none") == {"limit": 3}


def test_a_sweep_may_name_its_runs_and_train_each_with_several_seeds():
    given = config(pair={"runs": ["plain", "base_lr1e-4"], "seeds": [0, 2]})
    found = of_config(given, "pair")
    assert [each.runs for each in found] == [("plain", "plain_s2"), ("base_lr1e-4", "base_lr1e-4_s2")]
    assert [each.values for each in found] == [{"run": "plain"}, {"run": "base_lr1e-4"}]
    with pytest.raises(InputError, match=r"sweeps\.pair\.runs: run name 'unknown'"):
        check(config(pair={"runs": ["plain", "unknown"]}), "pair")
