"""Extensions of photographs, their sizes, the formats read and written, and defaults of what is used."""

EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")
SIZE = 224  # height and width of every stored image, in pixels
MAX_MEGAPIXELS = 300.0  # default
# Default, see `pipeline.images.toning`. It leaves out 0.9 % of 4,435 photographs in colour, those of a single hue, and
# 74 to 94 % of toned copies of them, depending on the toning.
TONED_BELOW = 1.5

# Pillow's names. Only these are tried, so a file with a photograph's extension never reaches, say, the PostScript
# interpreter.
READ = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "AVIF", "JPEG2000")
WRITTEN = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")  # with all colours, and metadata for their origin


class UnreadablePhotograph(Exception):
    """A file that cannot be used as a photograph; the message gives the reason in one line.

    Attributes:
        reason: "unreadable" or "too large".
    """

    def __init__(self, detail: str, reason: str = "unreadable") -> None:
        super().__init__(" ".join(detail.split()))
        self.reason = reason
