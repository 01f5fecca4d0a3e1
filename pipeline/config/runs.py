"""Run names. A run is a point of the paper's grid, spelt out in its name, or an experiment of the configuration.

A grid name is ``<architecture>_lr<learning rate>[_l2-<l2>][_bs<batch size>][_s<seed>][_noembed]``, for example
``base_lr1e-4`` or ``base_lr1e-3_l2-1e-1_bs50_s1``. ``_noembed`` omits the embedding. Each point has one canonical name:
numbers have their shortest mantissa, ``e`` and a plain exponent (``1e-4``, ``2.5e-4``, ``1e0``; zero is ``0``), and
default values are omitted.

The configuration names an experiment; ``<experiment>_s<seed>`` is the same experiment with another seed.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import InputError

if TYPE_CHECKING:
    from pipeline.config.schema import Config

DEFAULT_L2 = "1e-2"
DEFAULT_BATCH_SIZE = 5
DEFAULT_SEED = 0
LARGEST = 1e6  # exclusive upper limit of learning rate and l2
LARGEST_BATCH = 1_000_000
LONGEST = 200  # characters, because file names have at most 255 bytes
RESERVED = ("report", "sweeps")  # folders in results/ that are no runs
DIVERGED = (
    "expected a trained network, received one whose training diverged; use another run, or train it again with a lower "
    "learning rate"
)
FORM = "<architecture>_lr<learning rate>[_l2-<l2>][_bs<batch size>][_s<seed>][_noembed]"

_NUMBER = r"[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?"
_NAME = re.compile(
    rf"(?P<architecture>[A-Za-z][A-Za-z0-9-]*)_lr(?P<lr>{_NUMBER})(?:_l2-(?P<l2>{_NUMBER}))?"
    r"(?:_bs(?P<batch>[0-9]+))?(?:_s(?P<seed>[0-9]+))?(?P<noembed>_noembed)?",
    re.ASCII,
)
_SEEDED = re.compile(r"(?P<experiment>.+)_s(?P<seed>0|[1-9][0-9]*)", re.ASCII)


def spell(number: str | float) -> str:
    """Return the canonical spelling of a non-negative number: ``0.0001`` is ``1e-4``, ``0`` is ``0``."""
    _, digits, exponent = Decimal(str(number)).normalize().as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"not a finite number: {number}")
    if not any(digits):
        return "0"
    text = "".join(map(str, digits))
    mantissa = text[0] + ("." + text[1:] if text[1:] else "")
    return f"{mantissa}e{exponent + len(digits) - 1}"


def _match(name: str) -> re.Match[str] | None:
    """Match the parts of a grid name in any order."""
    first, *parts = name.split("_")
    kinds = ("lr", "l2-", "bs", "s", "noembed")
    places = {part: next((i for i, kind in enumerate(kinds) if part.startswith(kind)), len(kinds)) for part in parts}
    return _NAME.fullmatch(name) or _NAME.fullmatch("_".join([first, *sorted(parts, key=places.__getitem__)]))


@dataclass(frozen=True)
class Run:
    """One training run.

    `learning_rate` and `l2` are text in canonical spelling, so that names do not depend on binary floats.

    Attributes:
        experiment: the experiment's name in the configuration; empty for a point of the grid.
        unnamed_seed: the seed that the name omits.
        head: the head of an experiment that replaces its architecture's, as the configuration chooses it.
        predictor: of an experiment without a network, as the configuration chooses it; architecture, learning rate, l2,
            batch size and embedding then mean nothing.
    """

    architecture: str
    learning_rate: str
    l2: str = DEFAULT_L2
    batch_size: int = DEFAULT_BATCH_SIZE
    seed: int = DEFAULT_SEED
    embedding: bool = True
    experiment: str = ""
    unnamed_seed: int | None = DEFAULT_SEED
    head: Any = field(default=None, hash=False)
    predictor: Any = field(default=None, hash=False)

    @property
    def name(self) -> str:
        """The canonical name."""
        parts = [self.experiment or f"{self.architecture}_lr{self.learning_rate}"]
        if not self.experiment:
            parts += [f"l2-{self.l2}"] * (self.l2 != DEFAULT_L2)
            parts += [f"bs{self.batch_size}"] * (self.batch_size != DEFAULT_BATCH_SIZE)
        parts += [f"s{self.seed}"] * (self.seed != self.unnamed_seed)
        parts += ["noembed"] * (not self.embedding and not self.experiment)
        return "_".join(parts)

    @classmethod
    def parse(cls, name: str) -> "Run":
        """Parse a grid name.

        Raises:
            InputError: the name is malformed or not canonical.
        """
        _refuse_long(name)
        if (match := _match(name)) is None:
            raise InputError(
                f"run name {name!r}: expected {FORM}, for example base_lr1e-4 or base_lr1e-3_l2-1e-1_bs50_s1"
            )
        try:
            run = cls(
                architecture=match["architecture"],
                learning_rate=spell(match["lr"]),
                l2=spell(match["l2"] or DEFAULT_L2),
                batch_size=int(match["batch"] or DEFAULT_BATCH_SIZE),
                seed=int(match["seed"] or DEFAULT_SEED),
                embedding=match["noembed"] is None,
            )
            rate, l2 = float(run.learning_rate), float(run.l2)
        except (ArithmeticError, ValueError):
            raise InputError(f"run name {name!r}: expected numbers such as 1e-4, as in base_lr1e-4") from None
        if not 0 < rate < LARGEST or not 0 <= l2 < LARGEST:
            raise InputError(
                f"run name {name!r}: expected a learning rate above 0 and an l2 of at least 0, both below 1e6"
            )
        if not 0 < run.batch_size <= LARGEST_BATCH:
            raise InputError(
                f"run name {name!r}: expected a batch size of 1 to {LARGEST_BATCH}, received {run.batch_size}"
            )
        return _checked(run, name)

    def as_experiment(self) -> dict[str, Any]:
        """Return the values that an experiment's name does not contain, as JSON values."""
        if self.predictor:
            return {"name": self.experiment, "seed": self.seed}
        values = asdict(self)
        # Settings have the head in their architecture.
        del values["unnamed_seed"], values["head"], values["predictor"]
        return {"name": values.pop("experiment"), **values}

    @classmethod
    def untrained(cls, predictor: Any, experiment: str, seed: int, unnamed_seed: int | None) -> "Run":
        """Return the run of an experiment without a network."""
        return cls(
            "", "", seed=seed, embedding=False, experiment=experiment, unnamed_seed=unnamed_seed, predictor=predictor
        )

    @classmethod
    def of_settings(cls, settings: Mapping[str, Any]) -> "Run":
        """Return the run of settings as `run_settings` records them; raise InputError for invalid ones."""
        name = str(settings.get("run"))
        if "experiment" not in settings:
            return cls.parse(name)
        try:
            values = dict(settings["experiment"])
            experiment = values.pop("name")
            unnamed = values["seed"] if name == experiment else None
            if "predictor" in settings:
                return cls.untrained(settings["predictor"], experiment, **values, unnamed_seed=unnamed)
            return cls(**values, experiment=experiment, unnamed_seed=unnamed)
        except (KeyError, TypeError, ValueError):
            raise InputError(f"run {name!r}: expected valid settings of its experiment; train it again") from None


def find(config: "Config", name: str) -> Run:
    """Return the run with that name: an experiment, possibly with another seed, or a point of the grid.

    Raises:
        InputError: there is no such run, or the name is not canonical.
    """
    from pipeline.config import schema

    _refuse_long(name)
    known = config.experiments
    match = _SEEDED.fullmatch(name)
    seeded = match if match and match["experiment"] in known else None
    experiment = seeded["experiment"] if seeded else name
    if experiment not in known:
        if known and _match(name) is None:
            raise InputError(
                f"run name {name!r}: expected one of the experiments {', '.join(known)}, or {FORM}, for example "
                "base_lr1e-4"
            )
        return Run.parse(name)
    values = known[experiment]
    seed = int(seeded["seed"]) if seeded else values.seed
    if isinstance(values, schema.Untrained):
        return _checked(Run.untrained(values.predictor, experiment, seed, values.seed), name)
    run = Run(
        architecture=values.architecture,
        learning_rate=spell(values.learning_rate),
        l2=spell(values.l2),
        batch_size=values.batch_size,
        seed=seed,
        embedding=values.embedding,
        experiment=experiment,
        unnamed_seed=values.seed,
        head=values.head,
    )
    return _checked(run, name)


def without_defaults(config: "Config", name: str) -> str:
    """Return the canonical name of a run whose `name` also gives defaults, such as ``_s0``; any other name unchanged.

    Grids of names, as a shell makes them of braces, have these.
    """
    match = _SEEDED.fullmatch(name)
    experiment = config.experiments.get(match["experiment"]) if match else None
    if match and experiment:
        return match["experiment"] if int(match["seed"]) == experiment.seed else name
    defaults = (f"l2-{DEFAULT_L2}", f"bs{DEFAULT_BATCH_SIZE}", f"s{DEFAULT_SEED}")
    shorter = "_".join(part for part in name.split("_") if part not in defaults)
    return shorter if _match(shorter) and name not in config.experiments else name


def layered(config: "Config", run: Run) -> "Config":
    """Return the configuration with a run's own settings applied and without experiments."""
    changes = config.experiments[run.experiment].model_dump().get("training", {}) if run.experiment else {}
    training = config.training.model_copy(update=changes)
    return config.model_copy(update={"training": training, "experiments": {}, "sweeps": {}, "searches": {}})


def allowing_more_patience(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a trained run, with the patience of `new` if that is longer.

    Like more epochs, more patience changes nothing that was trained: it only lets the training go on. No patience is
    the longest.
    """
    patience = (settings.get("training", {}).get("patience") for settings in (old, new))
    before, now = patience
    if before is None or (now is not None and now < before):
        return dict(old)
    return {**old, "training": {**old["training"], "patience": now}}


def started(record: Mapping[str, Any]) -> bool:
    """Return whether the training that a run.yaml describes started from the weights of another network."""
    settings = record.get("settings")
    return isinstance(settings, Mapping) and bool(settings.get("training", {}).get("start_from"))


def is_untrained(record: Mapping[str, Any]) -> bool:
    """Return whether a run.yaml describes the answers of a predictor that needs no training."""
    settings = record.get("settings")
    return isinstance(settings, Mapping) and "predictor" in settings


NO_NUMBERS = "The network's answers are not numbers ({}), so they cannot be scored."  # of a status


def diverged(record: Mapping[str, Any]) -> bool:
    """Return whether the network that a run.yaml describes is that of a diverged training.

    It is not if the network of an earlier epoch was evaluated, or the one that training started from.
    """
    if not str(record.get("status")).startswith("diverged"):
        return False
    best = record.get("best_epoch")
    # Earlier versions could take the epoch in which the run diverged, which is its last, for its best.
    rescued = started(record) if best == 0 else best not in (None, record.get("epochs"))
    return record.get("weights_evaluated") == "last" or not rescued


def taken(name: str, experiments: Container[str]) -> str:
    """Return why an experiment cannot have this name, or an empty string."""
    if name in RESERVED:
        return "the folder of results uses this name"
    if _match(name):
        return f"this is a run name of the form {FORM}"
    match = _SEEDED.fullmatch(name)
    return f"this is {match['experiment']} with another seed" if match and match["experiment"] in experiments else ""


def _refuse_long(name: str) -> None:
    if len(name) > LONGEST:
        raise InputError(
            f"run name {name[:40]!r} …: expected a name like base_lr1e-4 of at most {LONGEST} characters, received "
            f"{len(name)}"
        )


def _checked(run: Run, name: str) -> Run:
    if run.seed >= 2**32:
        raise InputError(f"run name {name!r}: expected a seed below 2**32, received {run.seed}")
    if run.name != name:
        raise InputError(f"run name {name!r}: the canonical run name is {run.name!r}")
    return run
