"""Predictors that need no training: an experiment names one instead of an architecture.

To add a predictor, call `register` in a module named in DEEPCOLOR_PLUGINS. This module never imports Keras.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pipeline.config.loading import check_values
from pipeline.config.partitions import PARTITIONS
from pipeline.config.runs import Run
from pipeline.config.values import Choice, Section
from pipeline.core.registry import Registry
from pipeline.evaluation import sousa
from pipeline.evaluation.predictors import Ab, Batch
from pipeline.evaluation.scores import MODEL
from pipeline.evaluation.scoring import Dataset
from pipeline.storage.layouts import VECTOR


@dataclass(frozen=True)
class Given:
    """What a predictor may use.

    Attributes:
        data: the stores, partitions and groups of all images. `Dataset.outputs` has the stores of `Untrained.stored`.
        seed: of random draws: the run's.
        scheduler, workers: of `pipeline.core.tasks.run_tasks`.
    """

    data: Dataset
    seed: int
    scheduler: str = "threads"
    workers: int = 1


@dataclass(frozen=True)
class Untrained:
    """A predictor that needs no training.

    Attributes:
        name: in configurations.
        words: what it does, in one sentence.
        make: returns a function that predicts ab (k, H, W, 2) in 8-bit units for a batch; its second argument are the
            options.
        options: the settings that a configuration can change.
        stored: the outputs of the embedding network that it reads; batches have them.
        partitions: whose images it predicts.
        packages: distributions whose versions decide its answers.
        seconds: to predict an image on one processor core, for estimates.
        chosen: the options that a configuration chose.
    """

    name: str
    words: str
    make: Callable[[Given, Any], Callable[[Batch], Ab]]
    options: type[Section] = Section
    stored: tuple[str, ...] = ()
    partitions: tuple[str, ...] = PARTITIONS
    packages: tuple[str, ...] = ()
    seconds: float = 0.0
    chosen: Section = field(default_factory=Section)

    @property
    def choice(self) -> Choice:
        """The predictor as records have it: its name, or a mapping that adds options that are not defaults."""
        changes = self.chosen.model_dump(exclude_defaults=True)
        return {"name": self.name, **changes} if changes else self.name

    @property
    def label(self) -> str:
        """Name and options, for people."""
        return ", ".join([self.name, *(f"{key} {value}" for key, value in self.chosen.model_dump().items())])


UNTRAINED: Registry[Untrained] = Registry("predictor", "experiments.*.predictor")
register = UNTRAINED.register


def choose(choice: Choice, key: str = "experiments.*.predictor") -> Untrained:
    """Return the predictor that a configuration chooses, with its options.

    Args:
        choice: the name of a predictor, or a mapping with its name and options.
        key: where the configuration has it, for error messages.

    Raises:
        InputError: the predictor or an option is unknown, or an option's value is wrong.
    """
    kind, options = UNTRAINED.chosen(choice, key)
    return replace(kind, chosen=check_values(kind.options, options, key))


def of_run(run: Run) -> Untrained | None:
    """Return the predictor of a run, or None if it trains a network; raises as `choose`."""
    return choose(run.predictor, f"experiments.{run.experiment}.predictor") if run.predictor else None


def checked(run: Run) -> Run:
    """Return a run with its predictor, if it has one, as records have it; raises as `choose`."""
    untrained = of_run(run)
    return replace(run, predictor=untrained.choice) if untrained else run


class Answers:
    """The answers of such a predictor, as of `pipeline.evaluation.network.Network`.

    Attributes:
        images, seconds_per_image: of the batch that took least time per image.
    """

    def __init__(self, kind: Untrained, given: Given) -> None:
        self.label = kind.label
        self.images, self.seconds_per_image = 0, math.inf
        self._predict = kind.make(given, kind.chosen)

    def __call__(self, batch: Batch) -> dict[str, Ab]:
        """Predict ab (k, H, W, 2) of a batch."""
        return {MODEL: self.own(batch)}

    def own(self, batch: Batch) -> Ab:
        """Predict ab (k, H, W, 2) of a batch.

        Raises:
            ValueError: the predictor returns another shape.
        """
        began = time.perf_counter()
        ab, shape = np.asarray(self._predict(batch)), (*batch.truth.lightness.shape, 2)
        seconds = (time.perf_counter() - began) / len(batch.rows)
        if seconds < self.seconds_per_image:
            self.images, self.seconds_per_image = len(batch.rows), seconds
        if ab.shape != shape:
            raise ValueError(f"predictor {self.label}: expected ab {shape}, received {ab.shape}")
        return ab

    def reshuffled(self, batch: Batch, places: Sequence[int]) -> Mapping[str, Ab]:
        """Return no answers with another image's embedding."""
        return {}


register(
    Untrained(
        "sousa",
        "colours pixels like those of the most similar training photograph, by support vector machines and a graph cut",
        lambda given, options: sousa.Sousa(given, options),
        sousa.Options,
        stored=(VECTOR,),
        partitions=("validation", "test"),  # thousands of training photographs would take hours
        packages=("opencv-contrib-python-headless", "pymaxflow", "scikit-learn", "scipy"),
        seconds=1.2,
    )
)
