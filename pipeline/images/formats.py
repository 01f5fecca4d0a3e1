"""Which files are taken for photographs, how large they may be and are stored, and the formats read and written."""

EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")
SIZE = 224  # height and width of every stored image, in pixels
MAX_MEGAPIXELS = 300.0  # unless a user says otherwise

# Pillow's names. They are named, so that a file that merely bears a photograph's name never reaches, say, the
# PostScript interpreter.
READ = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "AVIF", "JPEG2000")
WRITTEN = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")  # those that hold all colours and a note on where they come from


class UnreadablePhotograph(Exception):
    """The file is no photograph that can be used; the message says why, in one line.

    Attributes:
        reason: "unreadable" or "too large".
    """

    def __init__(self, detail: str, reason: str = "unreadable") -> None:
        super().__init__(" ".join(detail.split()))
        self.reason = reason
