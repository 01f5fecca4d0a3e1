"""Tiny trainings: run, interrupt and compare them."""

import contextlib
import csv

import numpy as np
from tiny import DOT

from pipeline.config.runs import Run
from pipeline.config.schema import Training

PARAMETERS = {"base": 6_606_994, "arch1": 4_247_186, "arch2": 1_223_314, "arch3": 249_170}  # the paper's
WEIGHTS = ("best.weights.h5", "last.weights.h5", "history.csv")
DOT_RUN = "dot_lr1e-3_l2-1e-3_bs4"


def run_training(dataset, directory, name=DOT_RUN, epochs=2, *, replace=False, progress=None, **options):
    import keras

    from pipeline.training import train

    # Keras counts what it names; a weights file holds such a number. This is the count of a new process.
    keras.utils.clear_session(free_memory=False)
    settings = Training(**{"epochs": epochs, "checkpoint_seconds": 1e6, "checkpoint_epochs": 1, **options})
    train.train(
        Run.parse(name), *dataset.sources, directory, settings,
        more_architectures=DOT, replace=replace, progress=progress,
    )  # fmt: skip
    return directory


class Interrupted(Exception):
    """The moment at which the power fails."""


class StopsAfter:
    """Progress that fails after a number of steps."""

    def __init__(self, steps):
        self.left = steps

    @contextlib.contextmanager
    def track(self, what, total):
        def advance(units=1, note=""):
            self.left -= units
            if self.left < 0:
                raise Interrupted

        yield advance


def history(directory):
    return [
        {key: float(value) for key, value in row.items()} for row in csv.DictReader((directory / "history.csv").open())
    ]


def bytes_of(directory):
    return {name: (directory / name).read_bytes() for name in WEIGHTS}


def checkpoint_arrays(directory):
    with np.load(directory / "checkpoint.npz") as arrays:
        return {name: arrays[name] for name in arrays}


def assert_same(one, two):
    assert bytes_of(one) == bytes_of(two)
    first, second = checkpoint_arrays(one), checkpoint_arrays(two)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
