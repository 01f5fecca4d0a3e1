"""EXIF as it is stored: entries are copied, not interpreted, so that text in any encoding and odd types stay the same.

A directory maps tags to entries. EXIF, and the tags of a TIFF, are a main directory with others inside it.
"""

import struct
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

EXIF, GPS, INTEROP = 34665, 34853, 40965
_PARENTS = {EXIF: None, GPS: None, INTEROP: EXIF}

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, IFD = 1, 2, 3, 4, 5, 7, 13
# Bytes of one value by type: TIFF 6.0, BigTIFF, and the UTF-8 of EXIF 3.0.
_SIZES = {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, 6: 1, UNDEFINED: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8,
          IFD: 4, 16: 8, 17: 8, 18: 8, 129: 1}  # fmt: skip
_LEFT_OUT = (IFD, 16, 17, 18)  # places in the file, and types of BigTIFF only
_CODES = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "II", 11: "f", 12: "d"}


@dataclass(frozen=True)
class Entry:
    """Type, number of values, and the values' bytes in the byte order of the `Exif`."""

    kind: int
    count: int
    data: bytes


Directory = dict[int, Entry]


@dataclass
class Exif:
    """Directories of entries.

    Attributes:
        order: byte order, "<" or ">".
        main: the main directory, without pointers.
        inner: the directories `EXIF`, `GPS` and `INTEROP` by these names.
        damaged: tags of entries that cannot be read and are left out; 0 for a directory that is cut off.
        repeated: tag and content of entries whose tag their directory already has; the first counts.
    """

    order: Literal["<", ">"] = "<"
    main: Directory = field(default_factory=dict)
    inner: dict[int, Directory] = field(default_factory=dict)
    damaged: list[int] = field(default_factory=list)
    repeated: list[tuple[int, Entry]] = field(default_factory=list)

    def entry(self, kind: int, *values: int) -> Entry:
        """Make an entry of `BYTE`, `SHORT`, `LONG` or `RATIONAL`; a rational has two values."""
        code = _CODES[kind]
        return Entry(kind, len(values) // len(code), struct.pack(f"{self.order}{len(values)}{code[0]}", *values))

    def rational(self, value: float) -> Entry:
        """Make an entry of one positive number below 65,536."""
        return self.entry(RATIONAL, *Fraction(value).limit_denominator(10_000).as_integer_ratio())

    def number(self, tag: int) -> float | None:
        """Return the first number of an entry of the main directory; None if it has none."""
        entry = self.main.get(tag)
        if entry is None or entry.kind not in _CODES:
            return None
        number, *divisor = struct.unpack_from(self.order + _CODES[entry.kind], entry.data)
        return float(number / divisor[0] if divisor and divisor[0] else number)

    def copy(self) -> "Exif":
        """Return a copy whose directories may be changed."""
        return Exif(self.order, dict(self.main), {tag: dict(entries) for tag, entries in self.inner.items()})


def text(value: str) -> Entry:
    """Make an entry of text."""
    data = value.encode() + b"\0"
    return Entry(ASCII, len(data), data)


def orientation(value: Any) -> int:
    """Return the orientation in the decoded value of a tag, or in the first of several; 1 if it is not in 1..8."""
    try:
        number = int(value[0] if isinstance(value, tuple) else value)
    except (TypeError, ValueError, IndexError):
        return 1
    return number if number in range(1, 9) else 1


def parse(data: bytes, skipped: frozenset[int] = frozenset()) -> Exif:
    """Read EXIF, with or without its prefix, or the first directory of a TIFF or BigTIFF.

    Args:
        data: the bytes; offsets count from the mark of the byte order.
        skipped: tags of the main directory that are left out.
    """
    start = next((at for at in range(min(16, len(data))) if data[at : at + 3] in (b"II*", b"II+")
                  or data[at : at + 4] in (b"MM\0*", b"MM\0+")), None)  # fmt: skip
    if start is None:
        return Exif(damaged=[0] if data.strip(b"\0") else [])
    if start:
        data = data[start:]
    exif = Exif(order="<" if data[:2] == b"II" else ">")
    reader = _Reader(data, exif, big=b"+" in data[2:4])
    exif.main = reader.directory(reader.number(8 if reader.big else 4), skipped)
    for tag, parent in _PARENTS.items():
        entries = exif.main if parent is None else exif.inner.get(parent, {})
        if pointer := entries.pop(tag, None):
            size = min(len(pointer.data), 8)
            if size in (4, 8):
                (place,) = struct.unpack(exif.order + ("I" if size == 4 else "Q"), pointer.data[:size])
                exif.inner[tag] = reader.directory(place)
            else:
                exif.damaged.append(tag)
    for entries in (exif.main, *exif.inner.values()):
        for tag in [tag for tag, entry in entries.items() if entry.kind in _LEFT_OUT]:
            exif.damaged.append(tag)
            del entries[tag]
    return exif


@dataclass
class _Reader:
    data: bytes
    exif: Exif
    big: bool

    def __post_init__(self) -> None:
        self.left = len(self.data)  # entries that overlap could otherwise take unbounded memory

    def number(self, place: int) -> int:
        """Return an offset or a count at a place."""
        return int(struct.unpack_from(self.exif.order + ("Q" if self.big else "I"), self.data, place)[0])

    def directory(self, place: int, skipped: frozenset[int] = frozenset()) -> Directory:
        """Read the entries that can be read; note the tags of the others."""
        order = self.exif.order
        entries: Directory = {}
        head, row, room = (8, 20, 8) if self.big else (2, 12, 4)
        try:
            (count,) = struct.unpack_from(order + ("Q" if self.big else "H"), self.data, place)
            for at in range(place + head, place + head + row * min(count, 2**16), row):
                tag, kind = struct.unpack_from(order + "HH", self.data, at)
                size = _SIZES.get(kind, 0) * self.number(at + 4)
                start = at + row - room if size <= room else self.number(at + row - room)
                if tag in skipped or (kind in _SIZES and size == 0):
                    continue
                if kind not in _SIZES or start + size > len(self.data) or size > self.left:
                    self.exif.damaged.append(tag)
                    continue
                self.left -= size
                entry = Entry(kind, size // _SIZES[kind], self.data[start : start + size])
                if entries.setdefault(tag, entry) != entry:
                    self.exif.repeated.append((tag, entry))
        except struct.error:
            self.exif.damaged.append(0)
        return entries


def encoded(exif: Exif) -> bytes:
    """Return the bytes of a TIFF with these directories, without the prefix of EXIF."""
    directories: dict[int | None, Directory] = {None: dict(exif.main)}
    directories |= {tag: dict(exif.inner[tag]) for tag in _PARENTS if exif.inner.get(tag)}
    if INTEROP in directories:
        directories.setdefault(EXIF, {})
    inner = [tag for tag in directories if tag is not None]
    for tag in inner:
        directories[_PARENTS[tag]][tag] = exif.entry(LONG, 0)
    places, at = {}, 8
    for name, entries in directories.items():
        places[name] = at
        at += len(_directory(exif.order, entries, at))  # which does not depend on the pointers' values
    for tag in inner:
        directories[_PARENTS[tag]][tag] = exif.entry(LONG, places[tag])
    head = (b"II" if exif.order == "<" else b"MM") + struct.pack(exif.order + "HI", 42, 8)
    return head + b"".join(_directory(exif.order, entries, places[name]) for name, entries in directories.items())


def _directory(order: str, entries: Directory, place: int) -> bytes:
    rows, values = [], bytearray()
    start = place + 2 + 12 * len(entries) + 4
    for tag, entry in sorted(entries.items()):
        cell = entry.data.ljust(4, b"\0")
        if len(entry.data) > 4:
            cell = struct.pack(order + "I", start + len(values))
            values += entry.data + b"\0" * (len(entry.data) % 2)
        rows.append(struct.pack(order + "HHI", tag, entry.kind, entry.count) + cell)
    values += b"\0" * (len(values) % 2)
    return struct.pack(order + "H", len(entries)) + b"".join(rows) + b"\0" * 4 + values
