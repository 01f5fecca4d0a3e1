"""Any tree of photographs: each is decoded once, judged, and kept as pixels in scratch files until read."""

import itertools
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config.schema import FolderSource as Settings
from pipeline.core.errors import InputError
from pipeline.core.files import digest_bytes, digest_file, fingerprint, remove
from pipeline.core.progress import Progress
from pipeline.core.tasks import run_tasks
from pipeline.core.text import escaped
from pipeline.dataset.sources.base import ImageInfo, Remark, existing_folder, files_below
from pipeline.dataset.sources.scratch import Scratch, Verdict
from pipeline.images import prepare
from pipeline.images.formats import EXTENSIONS, SIZE, UnreadablePhotograph
from pipeline.images.lab import ENCODING, UInt8, mean_chroma
from pipeline.images.photographs import check_file, decode, read_bytes

FILES_PER_CHUNK = 64
_PLAIN = ("hidden", "not a photograph")  # remarks that explain themselves


@dataclass(frozen=True)
class PhotographFolder:
    """See `pipeline.dataset.sources.base.Source`; `counts` are the photographs used of each chunk of files."""

    root: Path
    scratch: Scratch
    settings: Settings
    counts: tuple[int, ...]
    n: int
    limit: int | None
    passed_over: tuple[Remark, ...]

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """What was left out, by path; with a limit, no photographs beyond the last one taken."""
        found = [*self.passed_over]
        taken = 0
        for verdict in itertools.chain.from_iterable(map(self.scratch.verdicts, range(len(self.counts)))):
            if taken == self.limit:
                break
            if verdict.reason:
                found.append(Remark(escaped(verdict.path), verdict.reason, verdict.detail))
            else:
                taken += 1
        return tuple(sorted(found, key=lambda remark: remark.file))

    def describe(self) -> dict[str, Any]:
        """Kind, settings and counts."""
        left_out = Counter(remark.reason for remark in self.remarks)
        settings = self.settings.model_dump(include={"kind", "gray_below", "max_megapixels"})
        return {**settings, "images": self.n, "left_out": dict(sorted(left_out.items()))}

    def info(self, start: int, stop: int) -> list[ImageInfo]:
        """Names of the images start..stop: the relative path."""
        names = [escaped(verdict.path) for _, _, verdict in self._rows(start, stop)]
        return [ImageInfo(id=name, group=name, source=name) for name in names]

    def input_digest(self, start: int, stop: int) -> str:
        """SHA-256 of the files' names and digests and the way they are cut."""
        return input_digest((escaped(verdict.path), verdict.digest) for _, _, verdict in self._rows(start, stop))

    def read(self, start: int, stop: int) -> tuple[UInt8, UInt8]:
        """Images start..stop: L (k, 224, 224) and ab (k, 224, 224, 2) uint8, decoded anew after `close`.

        Raises:
            InputError: a photograph is no longer what it was when the folder was opened.
        """
        start, stop, _ = slice(start, stop).indices(self.n)
        shape = (max(stop - start, 0), SIZE, SIZE)
        lightness, ab = np.empty(shape, np.uint8), np.empty((*shape, 2), np.uint8)
        place = 0
        for chunk, rows in itertools.groupby(self._rows(start, stop), key=lambda row: row[0]):
            pixels = self.scratch.pixels(chunk)
            for _, row, verdict in rows:
                image = self._decode(verdict) if pixels is None else pixels[row]
                lightness[place], ab[place] = image[..., 0], image[..., 1:]
                place += 1
        return lightness, ab

    def close(self) -> None:
        """Remove the scratch pixels; what is known about the files stays, and spares the next opening the decoding."""
        self.scratch.remove_pixels()

    def _rows(self, start: int, stop: int) -> Iterator[tuple[int, int, Verdict]]:
        """(chunk, row among the chunk's used photographs, verdict) of the images start..stop."""
        start, stop, _ = slice(start, stop).indices(self.n)
        ends = list(itertools.accumulate(self.counts))
        while start < stop:
            chunk = bisect_right(ends, start)
            used = [verdict for verdict in self.scratch.verdicts(chunk) if not verdict.reason]
            before, last = ends[chunk] - self.counts[chunk], min(stop, ends[chunk])
            for number in range(start, last):
                yield chunk, number - before, used[number - before]
            start = last

    def _decode(self, verdict: Verdict) -> UInt8:
        again, image = judge(self.root, verdict.path, self.settings)
        if image is None or again.digest != verdict.digest:
            where = escaped(str(self.root / verdict.path))
            raise InputError(f"{where}: expected the photograph found at first, received another one; run this again")
        return image


def input_digest(rows: Iterable[tuple[str, str]]) -> str:
    """What stands for some photographs and the way they are cut: of each its id and the digest of its file."""
    return fingerprint([ENCODING, SIZE, [list(row) for row in rows]])


def open_folder(
    settings: Settings,
    *,
    limit: int | None,
    scratch: Path,
    scheduler: str = "threads",
    workers: int = 1,
    progress: Progress | None = None,
) -> PhotographFolder:
    """List, decode and judge the photographs; see `pipeline.dataset.sources.open.open_source`.

    Raises:
        InputError: there is no such folder, or no photograph in it can be used.
    """
    store = Scratch(scratch, settings)
    root = existing_folder(Path(settings.path), f"photographs ({', '.join(EXTENSIONS)})")
    files, unlisted = files_below(root)
    photographs, passed_over = [], unlisted
    for name in files:
        if Path(name).suffix.lower() in EXTENSIONS:
            photographs.append(name)
        else:
            passed_over.append(Remark(escaped(name), "not a photograph", f"expected one of {', '.join(EXTENSIONS)}"))
    chunks = [photographs[i : i + FILES_PER_CHUNK] for i in range(0, len(photographs), FILES_PER_CHUNK)]
    counts: list[int] = []
    while len(counts) < len(chunks) and (limit is None or sum(counts) < limit):
        batch = len(chunks) if limit is None else max(workers, -((sum(counts) - limit) // FILES_PER_CHUNK))
        numbers = range(len(counts), min(len(counts) + batch, len(chunks)))
        todo = [(root, store, number, chunks[number]) for number in numbers]
        counts += run_tasks(
            _scan, todo, what="scanning photographs", scheduler=scheduler, workers=workers, progress=progress
        )
    n = sum(counts) if limit is None else min(sum(counts), limit)
    source = PhotographFolder(root, store, settings, tuple(counts), n, limit, tuple(passed_over))
    if n == 0:
        reasons = Counter(remark.reason for remark in source.remarks)
        found = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) or "no files"
        first = next((f"; the first is {r.file}: {r.detail}" for r in source.remarks if r.reason not in _PLAIN), "")
        remove(scratch)  # what was refused leaves nothing behind
        raise InputError(
            f"{escaped(str(root))}: expected colour photographs ({', '.join(EXTENSIONS)}), received {found}; set the "
            f"dataset's `path`, or its gray_below or max_megapixels if they leave out too much{first}"
        )
    return source


def _scan(root: Path, scratch: Scratch, chunk: int, paths: list[str]) -> int:
    """Judge a chunk of files, unless that is done; how many of them are used."""
    settings = scratch.settings
    verdicts = scratch.known(chunk)
    if verdicts is None or [(v.path, v.digest) for v in verdicts] != [(p, _digest(root / p, settings)) for p in paths]:
        judged = [judge(root, path, settings) for path in paths]
        verdicts = [verdict for verdict, _ in judged]
        used = [image for _, image in judged if image is not None]
        scratch.write(chunk, verdicts, np.array(used, np.uint8).reshape(-1, SIZE, SIZE, 3))
    return sum(not verdict.reason for verdict in verdicts)


def judge(root: Path, path: str, settings: Settings) -> tuple[Verdict, UInt8 | None]:
    """The verdict on one file below `root` and, if it is used, its Lab (224, 224, 3) uint8.

    Raises:
        InputError: it does not fit in memory.
    """
    digest = None
    try:
        data = read_bytes(root / path, settings.max_megapixels)
        digest = digest_bytes(data)
        photograph = decode(data, settings.max_megapixels, at_least=SIZE)
    except UnreadablePhotograph as error:
        return Verdict(path, str(error) if digest is None else digest, error.reason, str(error)), None
    except MemoryError:
        where = escaped(str(root / path))
        raise InputError(f"{where}: expected a photograph that fits in memory; lower max_megapixels") from None
    lightness, ab = prepare.centre_square(photograph)
    chroma = mean_chroma(ab)
    if chroma < settings.gray_below:
        detail = f"mean chroma {chroma:.2f} is below gray_below = {settings.gray_below:g}"
        return Verdict(path, digest, "gray", detail), None
    return Verdict(path, digest), np.dstack([lightness, ab])


def _digest(path: Path, settings: Settings) -> str:
    try:
        check_file(path, settings.max_megapixels)
        return digest_file(path)
    except UnreadablePhotograph as error:
        return str(error)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
