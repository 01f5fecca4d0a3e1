"""Progress displays, which callers pass to the library."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

Advance = Callable[..., None]


class Progress(Protocol):
    """Displays the progress of long work."""

    def track(self, what: str, total: int) -> contextlib.AbstractContextManager[Advance]:
        """Open a step of `total` units; call the result, ``advance(units=1)``, as they are completed."""


class Silent:
    """Shows nothing."""

    @contextlib.contextmanager
    def track(self, what: str, total: int) -> Iterator[Advance]:
        """See `Progress.track`."""
        yield lambda units=1: None


@dataclass
class Lines:
    """Lines on standard error for logs, at most one every `seconds`."""

    seconds: float = 10.0

    @contextlib.contextmanager
    def track(self, what: str, total: int) -> Iterator[Advance]:
        """See `Progress.track`."""
        done = 0
        start = shown = time.monotonic()

        def advance(units: int = 1) -> None:
            nonlocal done, shown
            done += units
            now = time.monotonic()
            if done >= total or now - shown >= self.seconds:
                shown = now
                left = (now - start) / max(done, 1) * max(total - done, 0)
                tail = f", about {left:.0f} s left" if done < total else f" in {now - start:.0f} s"
                print(f"{what}: {done} of {total}{tail}", file=sys.stderr, flush=True)

        yield advance


class Bar:
    """A bar on the terminal."""

    @contextlib.contextmanager
    def track(self, what: str, total: int) -> Iterator[Advance]:
        """See `Progress.track`."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with RichProgress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(what, total=total)
            yield lambda units=1: bar.update(task, advance=units)


def for_stderr() -> Progress:
    """Return a bar if standard error is a terminal, otherwise plain lines."""
    return Bar() if sys.stderr.isatty() else Lines()
