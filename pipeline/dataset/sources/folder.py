"""A folder of photographs: each is decoded once, judged, and cached as pixels in scratch files until stored."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
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
from pipeline.dataset.sources.base import ImageInfo, Remark, Source, existing_folder, files_below, parts_of
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
    """See `Source`; `counts` are the numbers of photographs used from each chunk of files."""

    root: Path
    scratch: Scratch
    settings: Settings
    counts: list[int]
    limit: int | None
    passed_over: list[Remark]
    groups: Mapping[str, str]  # by path; a photograph without one is a group of its own

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
        settings = self.settings.model_dump(include={"kind", "gray_below", "toned_below", "max_megapixels"})
        return {**settings, "images": self.n, "left_out": dict(sorted(left_out.items()))}

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
            images += [self._decode(verdict) if pixels is None else pixels[row] for _, row, verdict in rows]
        lab = np.array(images, np.uint8).reshape(-1, SIZE, SIZE, 3)
        return lab[..., 0].copy(), lab[..., 1:].copy()

    def close(self) -> None:
        """Remove the scratch pixels. The verdicts stay and spare the next opening the decoding."""
        self.scratch.remove_pixels()

    def _rows(self, start: int, stop: int) -> Iterator[tuple[int, int, Verdict]]:
        """Yield (chunk, row among the chunk's used photographs, verdict) of the images start..stop."""
        for chunk, first, last in parts_of(self.counts, start, min(stop, self.n)):
            used = [verdict for verdict in self.scratch.verdicts(chunk) if not verdict.reason]
            yield from ((chunk, row, used[row]) for row in range(first, last))

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
    settings: Settings, *, limit: int | None, scratch: Path, scheduler: str, workers: int, progress: Progress | None
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
    chunks = [photographs[i : i + FILES_PER_CHUNK] for i in range(0, len(photographs), FILES_PER_CHUNK)]
    counts: list[int] = []
    while len(counts) < len(chunks) and (limit is None or sum(counts) < limit):
        batch = len(chunks) if limit is None else max(workers, -((sum(counts) - limit) // FILES_PER_CHUNK))
        numbers = range(len(counts), min(len(counts) + batch, len(chunks)))
        counts += run_tasks(
            _scan, [(root, store, number, chunks[number]) for number in numbers],
            what="scanning photographs", scheduler=scheduler, workers=workers, progress=progress,
        )  # fmt: skip
    source = PhotographFolder(root, store, settings, counts, limit, passed_over, groups or {})
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


def _scan(root: Path, scratch: Scratch, chunk: int, paths: list[str]) -> int:
    """Judge a chunk of files, unless its verdicts are up to date; return how many files are used."""
    settings = scratch.settings
    verdicts = scratch.known(chunk)
    if verdicts is None or [(v.path, v.digest) for v in verdicts] != [(p, _digest(root / p, settings)) for p in paths]:
        judged = [judge(root, path, settings) for path in paths]
        verdicts = [verdict for verdict, _ in judged]
        used = [image for _, image in judged if image is not None]
        scratch.write(chunk, verdicts, np.array(used, np.uint8).reshape(-1, SIZE, SIZE, 3))
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
    lightness, ab = prepare.centre_square(photograph)
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
