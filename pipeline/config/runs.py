"""Run names: the name is the experiment.

``<architecture>_lr<learning rate>[_l2-<l2>][_bs<batch size>][_s<seed>][_noembed]``, for example ``base_lr1e-4`` or
``base_lr1e-3_l2-1e-1_bs50_s1``; ``_noembed`` is the same network without the embedding. Every
experiment has one spelling: a number is its shortest mantissa, ``e`` and a plain exponent (``1e-4``, ``2.5e-4``,
``1e0``; zero is ``0``), and a part that has its default value is left out.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

from pipeline.core.errors import InputError

DEFAULT_L2 = "1e-2"
DEFAULT_BATCH_SIZE = 5
DEFAULT_SEED = 0
LONGEST = 200  # a file's name has at most 255 bytes
FORM = "<architecture>_lr<learning rate>[_l2-<l2>][_bs<batch size>][_s<seed>][_noembed]"

_NUMBER = r"[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?"
_NAME = re.compile(
    rf"(?P<architecture>[A-Za-z][A-Za-z0-9-]*)_lr(?P<lr>{_NUMBER})(?:_l2-(?P<l2>{_NUMBER}))?"
    r"(?:_bs(?P<batch>[0-9]+))?(?:_s(?P<seed>[0-9]+))?(?P<noembed>_noembed)?",
    re.ASCII,
)


def spell(number: str | float) -> str:
    """The canonical spelling of a number that is not negative: ``0.0001`` is ``1e-4``, ``0`` is ``0``."""
    _, digits, exponent = Decimal(str(number)).normalize().as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"not a finite number: {number}")
    if not any(digits):
        return "0"
    text = "".join(map(str, digits))
    mantissa = text[0] + ("." + text[1:] if text[1:] else "")
    return f"{mantissa}e{exponent + len(digits) - 1}"


def _in_order(name: str) -> str:
    """The name with its parts in the order of the form, as far as they can be told."""
    first, *parts = name.split("_")
    kinds = ("lr", "l2-", "bs", "s", "noembed")
    places = {part: next((i for i, kind in enumerate(kinds) if part.startswith(kind)), len(kinds)) for part in parts}
    return "_".join([first, *sorted(parts, key=places.__getitem__)])


@dataclass(frozen=True)
class Run:
    """One training experiment, as its name says it.

    `learning_rate` and `l2` keep their canonical spelling, so that a name never passes through binary floats.
    """

    architecture: str
    learning_rate: str
    l2: str = DEFAULT_L2
    batch_size: int = DEFAULT_BATCH_SIZE
    seed: int = DEFAULT_SEED
    embedding: bool = True

    @property
    def name(self) -> str:
        """The canonical name."""
        parts = [f"{self.architecture}_lr{self.learning_rate}"]
        if self.l2 != DEFAULT_L2:
            parts.append(f"l2-{self.l2}")
        if self.batch_size != DEFAULT_BATCH_SIZE:
            parts.append(f"bs{self.batch_size}")
        if self.seed != DEFAULT_SEED:
            parts.append(f"s{self.seed}")
        if not self.embedding:
            parts.append("noembed")
        return "_".join(parts)

    @classmethod
    def parse(cls, name: str) -> "Run":
        """Read a canonical name.

        Raises:
            InputError: the name is not one, or spells its experiment another way.
        """
        if len(name) > LONGEST:
            raise InputError(
                f"run name {name[:40]!r} … cannot be read: expected at most {LONGEST} characters, received "
                f"{len(name)}; write it as in base_lr1e-4"
            )
        match = _NAME.fullmatch(name) or _NAME.fullmatch(_in_order(name))
        if match is None:
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
            raise InputError(f"run name {name!r}: a number in it cannot be read; write it as in base_lr1e-4") from None
        if not 0 < rate < 1e6 or not 0 <= l2 < 1e6:
            raise InputError(f"run name {name!r}: expected a learning rate over 0, an l2 of 0 or more, both under 1e6")
        if not 0 < run.batch_size <= 1_000_000:
            raise InputError(f"run name {name!r}: expected a batch size of 1 to 1000000, received {run.batch_size}")
        if run.seed >= 2**32:
            raise InputError(f"run name {name!r}: expected a seed under 2**32, received {run.seed}")
        if run.name != name:
            raise InputError(f"run name {name!r}: this experiment is spelt {run.name!r}; ask for that")
        return run
