"""A folder of photographs: each is decoded once, judged, and cached as pixels in scratch files until stored."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.config.sources import FolderSource as Settings
from pipeline.core.errors import InputError
from pipeline.core.files import digest_bytes, digest_file, fingerprint, remove
from pipeline.core.progress import Progress
from pipeline.core.tasks import run_tasks
from pipeline.core.text import escaped
from pipeline.dataset.sources.base import ImageInfo, Remark, Source, existing_folder, files_below
from pipeline.dataset.sources.outputs import folders_of_output
from pipeline.dataset.sources.scratch import Scratch, Verdict
from pipeline.dataset.sources.table import existing_files, read_table
from pipeline.images import formats, prepare, toning, xmp
from pipeline.images.formats import SIZE, UnreadablePhotograph, is_photograph, why_no_photograph
from pipeline.images.lab import ENCODING, UInt8, mean_chroma
from pipeline.images.photographs import check_file, decode, read_bytes

FILES_PER_CHUNK = 64
OURS = "made by DeepColor"


@dataclass
class PhotographFolder(Source):
    """See `Source`; rows are in the order of the paths, except that those that a store has keep their order.

    Attributes:
        counts: the numbers of photographs used from each chunk of files.
        order: the place of each row among all used photographs of the chunks; None if all are in their order.
    """

    root: Path
    scratch: Scratch
    settings: Settings
    counts: list[int]
    limit: int | None
    passed_over: list[Remark]
    groups: Mapping[str, str]  # by path; a photograph without one is a group of its own
    order: npt.NDArray[np.intp] | None = None

    def __post_init__(self) -> None:
        self.n = sum(self.counts) if self.limit is None else min(sum(self.counts), self.limit)

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """The files that were left out, by path; with a limit, no photographs beyond the last one used."""
        found = [*self.passed_over]
        used = 0
        for verdict in itertools.chain.from_iterable(map(self.scratch.verdicts, range(len(self.counts)))):
            if used == self.limit:
                break
            if verdict.reason:
                found.append(Remark(escaped(verdict.path), verdict.reason, verdict.detail))
            else:
                used += 1
        return tuple(sorted(found, key=lambda remark: remark.file))

    def describe(self) -> dict[str, Any]:
        """Return kind, settings and counts."""
        left_out = Counter(remark.reason for remark in self.remarks)
        settings = self.settings.model_dump(include={"kind", "gray_below", "toned_below", "max_megapixels", "crop"})
        paths = [verdict.path for _, _, verdict in self._rows(0, self.n)]
        order = {} if paths == sorted(paths) else {"order": "as added"}
        return {**settings, "images": self.n, "left_out": dict(sorted(left_out.items())), **order}

    def info(self, start: int, stop: int) -> list[ImageInfo]:
        """Return the names of the images start..stop: the relative path; their groups are those of the table."""
        paths = [verdict.path for _, _, verdict in self._rows(start, stop)]
        names = [(escaped(path), escaped(self.groups.get(path, path))) for path in paths]
        return [ImageInfo(id=name, group=group, source=name) for name, group in names]

    def input_digest(self, start: int, stop: int) -> str:
        """See the function `input_digest`."""
        return input_digest((escaped(verdict.path), verdict.digest) for _, _, verdict in self._rows(start, stop))

    def read(self, start: int, stop: int) -> tuple[UInt8, UInt8]:
        """See `Source.read`; after `close`, the photographs are decoded again."""
        images = []
        for chunk, rows in itertools.groupby(self._rows(start, stop), key=lambda row: row[0]):
            pixels = self.scratch.pixels(chunk)
            images += [pixels[row] if row in pixels else self._decode(verdict) for _, row, verdict in rows]
        lab = np.array(images, np.uint8).reshape(-1, SIZE, SIZE, 3)
        return lab[..., 0].copy(), lab[..., 1:].copy()

    def close(self) -> None:
        """Remove the scratch pixels. The verdicts stay and spare the next opening the decoding."""
        self.scratch.remove_pixels()

    def _rows(self, start: int, stop: int) -> Iterator[tuple[int, int, Verdict]]:
        """Yield (chunk, row among the chunk's used photographs, verdict) of the images start..stop."""
        places = np.arange(start, min(stop, self.n)) if self.order is None else self.order[start:stop]
        ends = np.cumsum(self.counts)
        chunks = np.searchsorted(ends, places, side="right")
        rows = places - (ends - self.counts)[chunks]
        for chunk, members in itertools.groupby(zip(chunks.tolist(), rows.tolist(), strict=True), lambda each: each[0]):
            used = [verdict for verdict in self.scratch.verdicts(chunk) if not verdict.reason]
            yield from ((chunk, row, used[row]) for _, row in members)

    def _decode(self, verdict: Verdict) -> UInt8:
        again, image = judge(self.root, verdict.path, self.settings)
        if image is None or again.digest != verdict.digest:
            raise InputError(
                f"{escaped(str(self.root / verdict.path))}: the photograph changed after it was scanned; run the "
                "command again"
            )
        return image


def input_digest(rows: Iterable[tuple[str, str]]) -> str:
    """Return the SHA-256 of photographs, given as pairs of id and digest of the file, and of how they are cut."""
    return fingerprint([ENCODING, SIZE, [list(row) for row in rows]])


def open_folder(
    settings: Settings,
    *,
    limit: int | None,
    scratch: Path,
    scheduler: str,
    workers: int,
    progress: Progress | None,
    stored: Sequence[str] = (),
) -> PhotographFolder:
    """List, decode and judge the photographs; see `pipeline.dataset.sources.open.open_source`.

    Raises:
        InputError: the folder does not exist, no photograph in it can be used, or its table cannot be used.
    """
    store = Scratch(scratch, settings)
    extensions = ", ".join(formats.extensions())
    root = existing_folder(Path(settings.path), f"photographs ({extensions})")
    groups = read_table(settings)
    files, passed_over = files_below(root) if groups is None else (existing_files(root, groups, settings), [])
    photographs = []
    own = folders_of_output(files) if groups is None else []
    for name in files:
        if folder := next((folder for folder in own if name.startswith(folder)), None):
            passed_over.append(Remark(escaped(name), OURS, f"{escaped(folder)} has DeepColor's output"))
        elif is_photograph(name):
            photographs.append(name)
        else:
            passed_over.append(Remark(escaped(name), "not a photograph", why_no_photograph(root / name)[0]))
    rank = {name: number for number, name in enumerate(stored)}
    if limit is not None:  # the scan ends early, so it has to begin with those
        photographs.sort(key=lambda path: rank.get(escaped(path), len(rank)))
    before = store.judged_before()
    chunks = [photographs[i : i + FILES_PER_CHUNK] for i in range(0, len(photographs), FILES_PER_CHUNK)]
    counts: list[int] = []
    while len(counts) < len(chunks) and (limit is None or sum(counts) < limit):
        batch = len(chunks) if limit is None else max(workers, -((sum(counts) - limit) // FILES_PER_CHUNK))
        numbers = range(len(counts), min(len(counts) + batch, len(chunks)))
        counts += run_tasks(
            _scan,
            [(root, store, number, [(path, before.get(path)) for path in chunks[number]]) for number in numbers],
            what="scanning photographs", scheduler=scheduler, workers=workers, progress=progress,
        )  # fmt: skip
    if limit is None:
        store.remove_beyond(len(chunks))
    order = _order(store, len(counts), rank) if rank and limit is None else None
    source = PhotographFolder(root, store, settings, counts, limit, passed_over, groups or {}, order)
    if source.n == 0:
        remarks = source.remarks
        reasons = Counter(remark.reason for remark in remarks)
        found = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) or "no files"
        unclear = (remark for remark in remarks if remark.reason not in ("hidden", "not a photograph"))
        first = next((f"; the first is {remark.file}: {remark.detail}" for remark in unclear), "")
        remove(scratch)
        raise InputError(
            f"{escaped(str(root))}: expected colour photographs ({extensions}), received {found}; set the dataset's "
            f"`path`, or gray_below, toned_below or max_megapixels if they leave out too much{first}"
        )
    return source


def _order(scratch: Scratch, chunks: int, rank: Mapping[str, int]) -> npt.NDArray[np.intp] | None:
    """Return `PhotographFolder.order`: ranked photographs come first, by rank, and then the others."""
    verdicts = itertools.chain.from_iterable(map(scratch.verdicts, range(chunks)))
    ranks = np.array([rank.get(escaped(verdict.path), len(rank)) for verdict in verdicts if not verdict.reason], int)
    return None if (np.diff(ranks) >= 0).all() else np.argsort(ranks, kind="stable")


def _scan(root: Path, scratch: Scratch, chunk: int, paths: Sequence[tuple[str, Verdict | None]]) -> int:
    """Judge a chunk of files, except those that have not changed since their verdict; return how many are used."""
    settings = scratch.settings
    digests = [(path, _digest(root / path, settings)) for path, _ in paths]
    verdicts = scratch.known(chunk)
    if verdicts is None or [(verdict.path, verdict.digest) for verdict in verdicts] != digests:
        judged = [
            (before, None) if before and before.digest == digest else judge(root, path, settings)
            for (path, before), (_, digest) in zip(paths, digests, strict=True)
        ]
        scratch.write(chunk, judged)
        verdicts = [verdict for verdict, _ in judged]
    return sum(not verdict.reason for verdict in verdicts)


def judge(root: Path, path: str, settings: Settings) -> tuple[Verdict, UInt8 | None]:
    """Return the verdict on a file below `root` and, if it is used, its Lab (224, 224, 3) uint8.

    Raises:
        InputError: it does not fit in memory.
    """
    digest = None
    try:
        data = read_bytes(root / path, settings.max_megapixels)
        digest = digest_bytes(data)
        photograph = decode(data, settings.max_megapixels, at_least=SIZE)
        if xmp.is_coloured(data):
            return Verdict(path, digest, OURS, "its metadata say that DeepColor made its colours"), None
    except UnreadablePhotograph as error:
        return Verdict(path, digest or str(error), error.reason, str(error)), None
    except MemoryError:
        where = escaped(str(root / path))
        raise InputError(f"{where}: the photograph does not fit in memory; lower max_megapixels") from None
    lightness, ab = (prepare.squashed if settings.crop == "squash" else prepare.centre_square)(photograph)
    chroma = mean_chroma(ab)
    if chroma < settings.gray_below:
        detail = f"mean chroma {chroma:.2f} is below gray_below = {settings.gray_below:g}"
        return Verdict(path, digest, "gray", detail), None
    if (spread := toning.spread(lightness, ab)) < settings.toned_below:
        detail = f"its colours depend on lightness alone: spread {spread:.2f} is below {settings.toned_below:g}"
        return Verdict(path, digest, "toned", f"{detail} (toned_below)"), None
    return Verdict(path, digest), np.dstack([lightness, ab])


def _digest(path: Path, settings: Settings) -> str:
    try:
        check_file(path, settings.max_megapixels)
        return digest_file(path)
    except UnreadablePhotograph as error:
        return str(error)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
