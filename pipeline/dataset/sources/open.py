"""Open the source that a dataset's settings name."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.config.sources import HDF5Source, KaggleSource, SampleSource
from pipeline.config.sources import Source as Settings
from pipeline.core.progress import Progress
from pipeline.dataset.sources.base import Source


def open_source(
    settings: Settings,
    *,
    limit: int | None,
    scratch: Path,
    scheduler: str = "threads",
    workers: int = 1,
    progress: Progress | None = None,
    every_row: bool = True,
    stored: Sequence[str] = (),
) -> Source:
    """Open a source and check its input.

    Args:
        settings: one of the configuration's `datasets`.
        limit: use the first `limit` images only.
        scratch: a folder for this dataset's decoded photographs and the verdicts on their files.
        scheduler: see `pipeline.core.tasks.run_tasks`; like the next two arguments, for scanning a folder or arrays.
        workers: the number of concurrent tasks.
        progress: displays the scan.
        every_row: whether every row of arrays is checked, rather than a sample.
        stored: ids of the images that a store has, in its order: of a folder's photographs, these come first, in this
            order, and then the others by path.

    Raises:
        InputError: the input is missing or cannot be used.
    """
    if isinstance(settings, SampleSource):
        from pipeline.dataset.sources.sample import SamplePhotographs

        return SamplePhotographs(limit)
    if isinstance(settings, KaggleSource):
        from pipeline.dataset.sources.kaggle import open_kaggle

        arrays = open_kaggle(settings, limit)
    elif isinstance(settings, HDF5Source):
        from pipeline.dataset.sources.hdf5 import open_hdf5

        arrays = open_hdf5(settings, limit)
    else:
        from pipeline.dataset.sources.folder import open_folder

        return open_folder(
            settings, limit=limit, scratch=scratch, scheduler=scheduler, workers=workers, progress=progress,
            stored=stored,
        )  # fmt: skip
    if not every_row:
        return arrays
    from pipeline.dataset.sources.damaged import without_damaged

    return without_damaged(arrays, settings, scheduler=scheduler, workers=workers, progress=progress)
