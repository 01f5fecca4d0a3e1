"""What a call of `colorize_files` writes, and under which names."""

from dataclasses import dataclass, field

from pipeline.colorize.examples import Examples
from pipeline.colorize.hints import Hints
from pipeline.colorize.outputs import NAME
from pipeline.colorize.variants import MOST
from pipeline.core.errors import InputError
from pipeline.images.formats import MAX_MEGAPIXELS


@dataclass(frozen=True)
class Options:
    """What to write.

    Attributes:
        compare: write a before-and-after picture of each photograph too.
        ab_only: write only a and b, as NumPy files.
        overwrite: replace existing files.
        max_megapixels: refuse larger photographs.
        recolor: replace the colours of colour photographs, which are otherwise left as they are.
        name: the name of an output without its extension; ``{name}`` stands for the photograph's.
        unique: number an output, as in "a (2).jpg", whose name is taken.
        hints: colours that are wanted at places of photographs.
        variants: how many colourings of each photograph to write; the first one is the network's answer.
        seed: of the others.
        like: colour photographs whose colours the outputs take.
        keep_original: copy the photograph beside its output.
        variant: which colouring to write if `variants` is 1, 0 for the network's answer; see `Colouring.colours`.

    Raises:
        InputError: two options exclude each other, or `name` is not the name of a file.
    """

    compare: bool = False
    ab_only: bool = False
    overwrite: bool = False
    max_megapixels: float = MAX_MEGAPIXELS
    recolor: bool = False
    name: str = NAME
    unique: bool = False
    hints: Hints = field(default_factory=Hints)
    variants: int = 1
    seed: int = 0
    keep_original: bool = False
    like: Examples | None = None
    variant: int = 0

    def __post_init__(self) -> None:
        if self.compare and self.ab_only:
            raise InputError("--compare: expected coloured photographs, received --ab-only; leave out one of the two")
        if self.variants > 1 and self.ab_only:
            raise InputError("--variants: expected coloured photographs, received --ab-only; leave out one of the two")
        if not 1 <= self.variants <= MOST:
            raise InputError(f"--variants: expected a number in 1..{MOST}, received {self.variants}")
        if not 0 <= self.variant < MOST or (self.variant and self.variants > 1):
            raise InputError(
                f"variant: expected a number in 0..{MOST - 1}, and 0 with --variants, received {self.variant}"
            )
        if self.overwrite and self.unique:
            raise InputError(
                "--unique: expected existing files to stay, received --overwrite; leave out one of the two"
            )
        rest = self.name.replace(NAME, "", 1)
        if rest == self.name or any(c in "{}/\\" or not c.isprintable() for c in rest) or self.name.startswith("."):
            raise InputError(
                f"--name: expected the name of a file with {NAME} in it, such as {NAME}_colour, received {self.name!r}"
            )
