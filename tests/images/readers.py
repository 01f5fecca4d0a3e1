"""Independent readers of what DeepColor writes, and files as strangers make them."""

import struct

import numpy as np
import tifffile
from PIL import ExifTags, Image

from pipeline.images import jpeg_segments, originals, writing

NOTE = "Colours made by a test"
RGB8 = np.asarray(
    Image.fromarray(np.random.default_rng(5).integers(0, 256, (3, 5, 3), dtype=np.uint8)).resize((30, 20))
)


CAPTION = "Große Feier, 1955"
RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
XMP = (
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {RDF}><rdf:Description rdf:about="" xmlns:dc="d" '
    f'dc:title="{CAPTION}"/></rdf:RDF></x:xmpmeta>'
).encode()
# Caption (2:120) in UTF-8 (1:90).
IPTC = b"\x1c\1\x5a\0\3\x1b%G" + b"\x1c\2\x78" + struct.pack(">H", len(CAPTION.encode())) + CAPTION.encode()


def rewritten(source, target):
    """Write a photograph again with other colours and return Pillow's view of the file and the remarks.

    All formats but TIFF are compared by Pillow only; lossy ones are only decoded.
    """
    original = originals.read(source)
    levels = original.levels
    colours = np.dstack([levels] * 3) if levels.ndim == 2 else levels[..., ::-1]
    writing.write(target, original, colours, NOTE)
    expected = colours if original.alpha is None else np.dstack([colours, original.alpha])
    image = Image.open(target)
    image.load()
    assert image.size == colours.shape[1::-1] and image.getexif()[ExifTags.Base.Software] == NOTE
    if image.format == "TIFF":
        with tifffile.TiffFile(target) as file:
            assert len(file.pages) == len(file.series) == 1
            assert np.array_equal(file.asarray(), expected) and np.array_equal(file.pages[0].asarray(), expected)
    if image.format in ("TIFF", "PNG") and expected.dtype == np.uint8:
        assert np.array_equal(np.asarray(image), expected)
    return image, original.remarks


def exif_block(entries, order=">"):
    """EXIF of entries (tag, type, count, bytes), in which longer bytes follow the directory."""
    rows, values = b"", b""
    start = 8 + 2 + 12 * len(entries) + 4
    for tag, kind, count, data in entries:
        if len(data) > 4:
            rows += struct.pack(order + "HHII", tag, kind, count, start + len(values))
            values += data + b"\0" * (len(data) % 2)
        else:
            rows += struct.pack(order + "HHI", tag, kind, count) + data.ljust(4, b"\0")
    head = {">": b"MM\0*\0\0\0\x08", "<": b"II*\0\x08\0\0\0"}[order]
    return head + struct.pack(order + "H", len(entries)) + rows + b"\0" * 4 + values


def resource(number, data):
    return b"8BIM" + struct.pack(">HxxI", number, len(data)) + data + b"\0" * (len(data) % 2)


def jpeg(path, *segments, **options):
    Image.fromarray(RGB8).save(path, "JPEG", extra=jpeg_segments.joined(segments), **options)
