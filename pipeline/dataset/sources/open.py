"""Where images come from."""

from pathlib import Path

from pipeline.config.schema import FolderSource, HDF5Source, KaggleSource, SampleSource
from pipeline.core.progress import Progress
from pipeline.dataset.sources.base import ImageInfo, Remark, Source

__all__ = ["ImageInfo", "Remark", "Source", "open_source"]


def open_source(
    settings: SampleSource | KaggleSource | HDF5Source | FolderSource,
    *,
    limit: int | None,
    scratch: Path,
    scheduler: str = "threads",
    workers: int = 1,
    progress: Progress | None = None,
) -> Source:
    """Open a source and check its input.

    Args:
        settings: one of the datasets of the configuration.
        limit: take the first so many images.
        scratch: a folder of this dataset's own for decoded photographs and what was found out about them.
        scheduler: see `pipeline.core.tasks.run_tasks`.
        workers: how many tasks run at a time.
        progress: shows the scan of a folder.

    Raises:
        InputError: says what was expected, what was received, where, and what to do.
    """
    if isinstance(settings, SampleSource):
        from pipeline.dataset.sources.sample import SamplePhotographs

        return SamplePhotographs(limit)
    if isinstance(settings, KaggleSource):
        from pipeline.dataset.sources.kaggle import open_kaggle

        return open_kaggle(Path(settings.path), limit)
    if isinstance(settings, HDF5Source):
        from pipeline.dataset.sources.hdf5 import open_hdf5

        return open_hdf5(Path(settings.path), limit)
    from pipeline.dataset.sources.folder import open_folder

    return open_folder(settings, limit=limit, scratch=scratch, scheduler=scheduler, workers=workers, progress=progress)
