"""A folder of photographs, opened as a source."""

from image_files import picture

from pipeline.config.sources import FolderSource
from pipeline.dataset.sources.open import open_source
from pipeline.images.photographs import Photograph
from pipeline.images.prepare import centre_square


def opened(tmp_path, limit=None, scheduler="synchronous", workers=1, **settings):
    root = tmp_path / "photographs"
    values = FolderSource(kind="folder", path=str(root), **settings)
    return open_source(values, limit=limit, scratch=tmp_path / "scratch", scheduler=scheduler, workers=workers)


def square(seed=0):
    """What ingest stores of a `picture`."""
    return centre_square(Photograph(picture(seed=seed)))


def ids(source):
    return [info.id for info in source.info(0, source.n)]
