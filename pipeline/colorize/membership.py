"""Whether a run was trained on a photograph: known by its file or its picture, never guessed."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.config import schema
from pipeline.config.paths import ResultFiles, scratch_of
from pipeline.core import files, versions
from pipeline.core.errors import InputError
from pipeline.dataset import splits
from pipeline.dataset.index import image_digest, read_index
from pipeline.dataset.sources import folder, sample
from pipeline.dataset.sources.scratch import known_files
from pipeline.images import lab
from pipeline.images.formats import UnreadablePhotograph
from pipeline.results.record import read_record
from pipeline.storage.store import Store

NONE = "none"  # of no partition
UNKNOWN = "unknown"

log = logging.getLogger("deepcolor")


class Membership:
    """Tells in which partition of a run's data a photograph was.

    A photograph is an image of the data if its file has the bytes of one that was ingested, or if it gives, treated as
    by ingest, the same L, a and b. The run's data are looked for with the first photograph. index.csv and splits.csv
    are read once; what is kept is a digest or two for each image.
    """

    def __init__(self, result: Path) -> None:
        """Of the run in ``results/<run>/``."""
        self._result = result

    def __call__(self, photograph: Path) -> str:
        """One of `PARTITIONS`, "none" or "unknown".

        "unknown": the data are not at hand or came as arrays, the photograph is gray (digests are those of colours),
        ingest would leave it out, or it is no known one but ingest worked with other versions of what decodes (see
        `versions.DECODED_BY`).
        """
        if self._images is None:
            return UNKNOWN
        try:
            return self._images.partition(photograph)
        except (InputError, UnreadablePhotograph, OSError, MemoryError):
            return UNKNOWN

    @cached_property
    def _images(self) -> "_Images | None":
        try:
            return _read(self._result)
        except KeyError as error:
            reason = f"{ResultFiles(self._result).record} does not tell its {error}"
        except InputError as error:
            reason = str(error)
        log.info("colorize: it is not known which photographs the run was trained on: %s", reason)
        return None


@dataclass(frozen=True)
class _Images:
    """The images of a run's data: partitions by the digest of the file, and by that of L and ab."""

    source: schema.FolderSource | schema.SampleSource
    by_file: Mapping[str, str]
    by_picture: Mapping[str, str]
    comparable: bool  # whether ingest would decode here as it did then

    def partition(self, photograph: Path) -> str:
        """See `Membership`."""
        if known := self.by_file.get(files.digest_file(photograph)) if self.by_file else None:
            return known
        if isinstance(self.source, schema.SampleSource):
            gray_below = float(schema.FolderSource.model_fields["gray_below"].default)
            picture = sample.first_cut(photograph)
        else:
            gray_below = self.source.gray_below
            _, picture = folder.judge(photograph.parent, photograph.name, self.source)
            if picture is None:
                return UNKNOWN
        if picture is not None and (known := self.by_picture.get(image_digest(picture[..., 0], picture[..., 1:]))):
            return known
        gray = picture is not None and lab.mean_chroma(picture[..., 1:]) < gray_below
        return NONE if self.comparable and not gray else UNKNOWN


def _read(result: Path) -> _Images:
    """Read a run's data.

    Raises:
        InputError: there are none, they are damaged or others than the run's, or they came as arrays.
        KeyError: run.yaml lacks something.
    """
    record = read_record(result)
    described = record["settings"]["images"]["source"]
    if described["kind"] not in ("sample", "folder"):
        raise InputError(f"its images came as arrays ({described['kind']}), which are not compared with photographs")
    kind = schema.SampleSource if described["kind"] == "sample" else schema.FolderSource
    images, split = _stores(result, record)
    table = splits.read(split, record["fingerprints"]["images"])
    index = read_index(images)
    partitions = [row["partition"] for row in table]
    by_file: dict[str, str] = {}
    if kind is schema.FolderSource:
        known = known_files(scratch_of(images))
        for shard in range(images.shard_count()):
            shard_record = images.record(shard) or {}
            start, stop = shard_record["rows"]
            rows = [(row["id"], known.get(row["id"], "")) for row in index[start:stop]]
            # What is known of the files may be of a later scan than the images.
            if folder.input_digest(rows) == shard_record["input"]:
                by_file |= {digest: partitions[start + place] for place, (_, digest) in enumerate(rows)}
    made_by, here = images.manifest()["versions"], versions.versions()
    return _Images(
        kind.model_validate(described),
        by_file,
        {row["digest"]: partition for row, partition in zip(index, partitions, strict=True)},
        all(made_by.get(name) == here[name] for name in versions.DECODED_BY),
    )


def _stores(result: Path, record: Mapping[str, Any]) -> tuple[Store, Path]:
    """The images and the split that the run was trained on."""
    asked = record["fingerprints"]
    places = ResultFiles(result).datasets(record)
    for place in places:
        images, split = place.images, place.splits
        if not images.manifest_path.exists():
            continue
        if (images.manifest()["fingerprint"], splits.fingerprint(split)) == (asked["images"], asked["split"]):
            return images, split
        raise InputError(f"{place.directory} holds other images or another split than those that it was trained on")
    raise InputError(f"its images are not there ({', '.join(dict.fromkeys(str(place.directory) for place in places))})")
