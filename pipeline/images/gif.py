"""GIF's extensions: texts, and what applications note, such as colour profiles."""

from collections.abc import Iterator

COMMENT, DRAWN, APPLICATION = 0xFE, 0x01, 0xFF  # labels
XMP, PROFILE = b"XMP DataXMP", b"ICCRGBG1012"  # names of applications
_PICTURE, _END = 0x2C, 0x3B


def extensions_of(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield label, first block and content of each extension; the first block names an application.

    Raises:
        IndexError: the file is cut off.
    """

    def skipped(at: int) -> int:
        while data[at]:
            at += 1 + data[at]
        return at + 1

    def table(flags: int) -> int:
        return 3 * 2 ** (1 + flags % 8) if flags & 0x80 else 0

    at = 13 + table(data[10])
    while at < len(data) and data[at] != _END:
        if data[at] == _PICTURE:
            at = skipped(at + 11 + table(data[at + 9]))
            continue
        label, start = data[at + 1], at + 2
        at = skipped(start)
        first = b""
        if label != COMMENT:
            first = data[start + 1 : start + 1 + data[start]]
            start += 1 + data[start] if first else 0
        if label == APPLICATION and first == XMP:
            # It is no sequence of blocks, but ends so that readers of blocks find its end: in 257 bytes and 0.
            yield label, first, data[start : at - 258]
            continue
        blocks = []
        while data[start]:
            blocks.append(data[start + 1 : start + 1 + data[start]])
            start += 1 + data[start]
        yield label, first, b"".join(blocks)


def profile(data: bytes) -> bytes | None:
    """Return the colour profile of a file."""
    try:
        return next((content for _, name, content in extensions_of(data) if name == PROFILE), None)
    except IndexError:
        return None
