"""Extensions of photographs, their sizes, the formats read and written, and defaults of what is used."""

import contextlib
from pathlib import Path

from pipeline.images import foreign

_EXTENSIONS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif",
    ".avif", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".mpo",
)  # fmt: skip
_BY_PLUGINS = {".heic": foreign.HEIC, ".heif": foreign.HEIC, ".hif": foreign.HEIC, ".jxl": foreign.JPEG_XL}
SIZE = 224  # height and width of every stored image, in pixels
MAX_MEGAPIXELS = 300.0  # default
# Default, see `pipeline.images.toning`. It leaves out 0.9 % of 4,435 photographs in colour, those of a single hue, and
# 74 to 94 % of toned copies of them, depending on the toning.
TONED_BELOW = 1.5

# Pillow's names. Only these are tried, so a file with a photograph's extension never reaches, say, the PostScript
# interpreter.
READ = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "AVIF", "JPEG2000")
WRITTEN = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")  # with all colours, and metadata for their origin


def extensions() -> tuple[str, ...]:
    """Return the extensions, in lower case, of the photographs that can be read with what is installed."""
    return (*_EXTENSIONS, *(extension for extension, name in _BY_PLUGINS.items() if foreign.plugin(name)))


def is_photograph(path: str | Path) -> bool:
    """Whether a file has one of the `extensions`."""
    return Path(path).suffix.lower() in extensions()


def why_no_photograph(path: Path) -> tuple[str, str | None]:
    """Return why a file without one of the `extensions` is left out, and the name of its format if it is known."""
    if name := _foreign(path):
        return foreign.advice(name), name
    return f"expected one of {', '.join(extensions())}", None


def _foreign(path: Path) -> str | None:
    with contextlib.suppress(OSError):
        if path.is_file():  # reading a pipe may never end
            with path.open("rb") as opened:
                return foreign.format_of(opened.read(foreign.HEAD))
    return None


class UnreadablePhotograph(Exception):
    """A file that cannot be used as a photograph; the message gives the reason in one line.

    Attributes:
        reason: "unreadable" or "too large".
    """

    def __init__(self, detail: str, reason: str = "unreadable") -> None:
        super().__init__(" ".join(detail.split()))
        self.reason = reason
