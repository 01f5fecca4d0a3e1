"""Rows of arrays that hold no photograph: never written, overwritten, or in another encoding."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pipeline.config.sources import HDF5Source, KaggleSource
from pipeline.core.errors import InputError
from pipeline.core.progress import Progress
from pipeline.core.tasks import run_tasks
from pipeline.core.text import counted, escaped
from pipeline.dataset.sources.arrays import ArraySource
from pipeline.dataset.sources.base import Remark
from pipeline.images import gamut

# Of an image's pixels. Photographs that this project encodes have none outside sRGB, and of those whose ab carry noise
# of a standard deviation of 3, some in a thousand have more.
LARGEST_SHARE = 0.01
ROWS_PER_TASK = 64
NAMED = 3  # rows that an error names


def without_damaged(
    source: ArraySource,
    settings: KaggleSource | HDF5Source,
    *,
    scheduler: str,
    workers: int,
    progress: Progress | None = None,
) -> ArraySource:
    """Return the source without its damaged rows; arguments as in `pipeline.dataset.sources.open.open_source`.

    Raises:
        InputError: rows are damaged and the settings do not leave them out, or all are.
    """
    tasks = [(source, start, min(start + ROWS_PER_TASK, source.rows)) for start in range(0, source.rows, ROWS_PER_TASK)]
    found = run_tasks(
        _shares, tasks, what="checking arrays, blocks", scheduler=scheduler, workers=workers, progress=progress
    )
    shares = np.concatenate(found)
    damaged = np.flatnonzero(shares > LARGEST_SHARE)
    if not len(damaged):
        return source
    share = f"{shares[damaged[0]]:.0%}"
    if not settings.leave_out_damaged or len(damaged) == source.rows:
        named = ", ".join(map(str, damaged[:NAMED])) + (", …" if len(damaged) > NAMED else "")
        remedy = "write them again" + ("" if settings.leave_out_damaged else ", or set `leave_out_damaged: true`")
        raise InputError(
            f"{escaped(settings.path)}: expected photographs in all rows of L and ab, received colours outside sRGB in "
            f"{counted(len(damaged), 'row')} of {source.rows} (from 0: {named}; {share} of the first one's pixels), "
            f"which were probably never written, or are in another encoding; {remedy}"
        )
    remarks = tuple(
        Remark(source.named(int(row)).source, "damaged", f"{shares[row]:.0%} of the pixels have a colour outside sRGB")
        for row in damaged
    )
    return replace(source, left_out=remarks, damaged=tuple(damaged.tolist()))


def _shares(source: ArraySource, start: int, stop: int) -> npt.NDArray[np.float64]:
    images = zip(*source.read_rows(start, stop), strict=True)
    return np.array([gamut.share_outside(*image) for image in images])
