"""A search that is killed at any moment goes on as if it had not been."""

import math
import os
import random
import signal
import time

import pytest

from pipeline.config.loading import parse_config
from pipeline.core.errors import InputError
from pipeline.training.search import Pruned, Search

SPACE = {
    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "batch_size": {"low": 2, "high": 16},
    "training.mirror": [False, True],
    "head": {"mse": "regression", "l1": {"name": "regression", "loss": "l1"}},
}
EPOCHS = 4


def settings(**changes):
    experiments = {"plain": {"architecture": "arch3", "learning_rate": 1e-3}}
    values = {"extends": "plain", "space": SPACE, "trials": 14, **changes}
    return parse_config({"experiments": experiments, "searches": {"vivid": values}}).searches["vivid"]


def error(values, epoch):
    """That of an epoch, as if a network had been trained; best at a rate of 1e-2, and NaN above 6e-2."""
    if values["learning_rate"] > 6e-2:
        return math.nan
    return 10 + (math.log10(values["learning_rate"]) + 2) ** 2 + values["batch_size"] / 10 + 5 / epoch


def go_on(path, search, pause=0.0):
    """Run a search until it ends; after a kill, an epoch or two are trained again."""
    for trial in Search(path, "vivid", search, {"made": "so"}).trials():
        try:
            for epoch in range(1, EPOCHS + 1):
                time.sleep(pause)
                trial.judge([{"val_mse": error(trial.values, done)} for done in range(1, epoch + 1)])
        except Pruned:
            continue
        value = error(trial.values, EPOCHS)
        if math.isfinite(value):
            trial.complete(value)
        else:
            trial.fail("diverged in epoch 1")
    return Search(path, "vivid", search, {"made": "so"}).found()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return go_on(tmp_path_factory.mktemp("whole") / "vivid.db", settings())


def test_a_search_finds_prunes_and_survives_divergence(whole):
    assert [number for number, _, _ in whole] == list(range(14))
    problems = [problem for _, _, problem in whole]
    assert "diverged in epoch 1" in problems and any("pruned after epoch" in each for each in problems)
    assert not any("pruned" in problem for problem in problems[:5])  # nothing to compare with
    rates = [values["learning_rate"] for _, values, problem in whole]
    assert len(set(rates)) == 14 and all(1e-4 <= rate <= 1e-1 and float(f"{rate:.3g}") == rate for rate in rates)
    assert {values["head"] for _, values, _ in whole} == {"mse", "l1"}
    assert {values["training.mirror"] for _, values, _ in whole} == {"true", "false"}
    assert all(isinstance(values["batch_size"], int) for _, values, _ in whole)


def test_a_search_killed_at_any_moment_goes_on_as_if_it_had_not_been(whole, tmp_path):
    path, chance, kills = tmp_path / "vivid.db", random.Random(0), 0
    for _ in range(6):
        if not (child := os.fork()):
            go_on(path, settings(), pause=0.01)
            os._exit(0)
        time.sleep(chance.uniform(0.05, 0.8))
        os.kill(child, signal.SIGKILL)
        kills += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert kills >= 3
    assert go_on(path, settings()) == whole


def test_more_trials_go_on_from_those_that_there_are(whole, tmp_path):
    path = tmp_path / "vivid.db"
    assert go_on(path, settings(trials=9)) == whole[:9]
    assert go_on(path, settings(trials=14)) == whole
    assert go_on(path, settings(trials=9)) == whole


def test_another_seed_or_sampler_gives_other_trials(whole, tmp_path):
    for trials, change in ((1, {"seed": 1}), (12, {"sampler": "random", "pruner": "none"})):
        other = go_on(tmp_path / str(trials), settings(trials=trials, **change))
        assert [values for _, values, _ in other] != [values for _, values, _ in whole[:trials]]
        assert not any("pruned" in problem for _, _, problem in other)


def test_a_search_with_other_settings_is_refused_or_replaced(tmp_path):
    path = tmp_path / "vivid.db"
    go_on(path, settings(trials=2))
    with pytest.raises(InputError, match=r"vivid\.db.*'so', now 'otherwise'"):
        Search(path, "vivid", settings(trials=2), {"made": "otherwise"})
    assert Search(path, "vivid", settings(trials=2), {"made": "otherwise"}, replace=True).found() == []
