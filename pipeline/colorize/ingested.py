"""The photographs of a run's data: their partitions, by their files or their pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.colorize.membership import UNKNOWN
from pipeline.config.paths import ResultFiles, scratch_of
from pipeline.config.sources import FolderSource, SampleSource
from pipeline.core import files, versions
from pipeline.core.errors import InputError
from pipeline.dataset import splits
from pipeline.dataset.index import image_digest, read_index
from pipeline.dataset.sources import folder, sample
from pipeline.dataset.sources.scratch import known_files
from pipeline.images import lab
from pipeline.results.record import read_record
from pipeline.storage.store import Store

NONE = "none"  # in no partition


class Listed(NamedTuple):
    """An ingested photograph: its path below the dataset's folder, the SHA-256 of the file, and its partition."""

    file: str
    sha256: str
    partition: str


@dataclass(frozen=True)
class Ingested:
    """The images of a run's data: their partitions by digest of the file, and by digest of L and ab."""

    source: FolderSource | SampleSource
    by_file: Mapping[str, str]
    by_picture: Mapping[str, str]
    comparable: bool  # whether the versions of `versions.DECODED_BY` are those of ingest

    def __call__(self, photograph: Path) -> str:
        """See `pipeline.colorize.membership.Membership`."""
        if self.by_file and (partition := self.by_file.get(files.digest_file(photograph))):
            return partition
        if isinstance(self.source, SampleSource):
            gray_below = float(FolderSource.model_fields["gray_below"].default)
            picture = sample.first_cut(photograph)
        else:
            gray_below = self.source.gray_below
            # Versions that knew no toning used such photographs too.
            settings = self.source.model_copy(update={"toned_below": 0.0})
            _, picture = folder.judge(photograph.parent, photograph.name, settings)
            if picture is None:
                return UNKNOWN
        if picture is None:
            return NONE if self.comparable else UNKNOWN
        if partition := self.by_picture.get(image_digest(picture[..., 0], picture[..., 1:])):
            return partition
        gray = lab.mean_chroma(picture[..., 1:]) < gray_below
        return NONE if self.comparable and not gray else UNKNOWN


def read(result: Path, record: Mapping[str, Any]) -> Ingested:
    """Read the data of the run in ``results/<run>/`` with this run.yaml.

    Raises:
        InputError: they are missing, damaged, not those of the run, or were read from arrays.
        KeyError: run.yaml is incomplete.
    """
    described = record["settings"]["images"]["source"]
    if described["kind"] not in ("sample", "folder"):
        raise InputError(f"its images were read from arrays ({described['kind']}), not photographs")
    kind = SampleSource if described["kind"] == "sample" else FolderSource
    images, split = _stores(result, record)
    partitions = [row["partition"] for row in splits.read(split, record["fingerprints"]["images"])]
    by_picture = {row["digest"]: partition for row, partition in zip(read_index(images), partitions, strict=True)}
    then, now = images.manifest()["versions"], versions.versions()
    return Ingested(
        kind.model_validate(described),
        {each.sha256: each.partition for each in _listed(images, partitions)},
        by_picture,
        all(then.get(name) == now[name] for name in versions.DECODED_BY),
    )


def listed(result: Path) -> list[Listed]:
    """Return the photographs of a run's data whose files are known; none if they came from elsewhere than a folder.

    Raises:
        InputError: the run's data are missing, damaged or other ones.
        KeyError: run.yaml is incomplete.
    """
    images, split = stores(result)
    return _listed(images, [row["partition"] for row in splits.read(split, images.manifest()["fingerprint"])])


def stores(result: Path) -> tuple[Store, Path]:
    """Return the images and the split that a run was trained on.

    Raises:
        InputError: the run's data are missing, damaged or other ones.
        KeyError: run.yaml is incomplete.
    """
    return _stores(result, read_record(result))


def _listed(images: Store, partitions: Sequence[str]) -> list[Listed]:
    index, known = read_index(images), known_files(scratch_of(images))
    found = []
    for shard in range(images.shard_count()):
        record = images.record(shard) or {}
        start, stop = record["rows"]
        rows = [(row["id"], known.get(row["id"], "")) for row in index[start:stop]]
        # The digests of the files may be from a later scan than the images.
        if folder.input_digest(rows) == record["input"]:
            found += [Listed(*row, partitions[start + place]) for place, row in enumerate(rows)]
    return found


def _stores(result: Path, record: Mapping[str, Any]) -> tuple[Store, Path]:
    """Return the images and the split that the run was trained on."""
    expected = record["fingerprints"]["images"], record["fingerprints"]["split"]
    datasets = ResultFiles(result).datasets(record)
    for dataset in datasets:
        if not dataset.images.manifest_path.exists():
            continue
        if (dataset.images.manifest()["fingerprint"], splits.fingerprint(dataset.splits)) == expected:
            return dataset.images, dataset.splits
        raise InputError(f"{dataset.directory} contains other images or another split than the run was trained on")
    searched = ", ".join(dict.fromkeys(str(dataset.directory) for dataset in datasets))
    raise InputError(f"its images were not found in {searched}")
