"""Formats of pictures that Pillow does not read by itself, recognised by their first bytes.

HEIC and JPEG XL are read where the packages of the extra `formats` are installed.
"""

import contextlib
import functools

HEIC, JPEG_XL = "HEIC", "JPEG XL"

HEAD = 64  # bytes
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_STARTS = {
    b"\xff\x0a": JPEG_XL,
    b"\0\0\0\x0cJXL \r\n\x87\n": JPEG_XL,
    b"8BPS": "Photoshop (PSD)",
    b"II\xbc\x01": "JPEG XR",
    b"gimp xcf": "GIMP (XCF)",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"FUJIFILMCCD-RAW": "Fujifilm raw",
    b"II*\0\x10\0\0\0CR": "Canon raw",
    b"IIU\0": "Panasonic raw",
    b"IIRO": "Olympus raw",
    b"%PDF": "PDF",
}


def format_of(head: bytes) -> str | None:
    """Return the name of the format of a file that starts with these bytes, `HEAD` or more; None for any other file."""
    if head[4:8] == b"ftyp" and b"avif" not in head[8:HEAD]:
        return HEIC if head[8:12] in _HEIF else "Canon raw" if head[8:12] == b"crx " else None
    return next((name for start, name in _STARTS.items() if head.startswith(start)), None)


def advice(name: str) -> str:
    """Return what to do with a file of such a format."""
    readable = "install DeepColor's extra `formats`, or " if name in (HEIC, JPEG_XL) else ""
    return (
        f"a file in the format {name}, which is not read; {readable}convert it to PNG or TIFF first, for example with "
        "ImageMagick (magick photograph photograph.png)"
    )


@functools.cache
def plugin(name: str) -> str | None:
    """Return Pillow's name of a format after making Pillow read it; None if that needs what is not installed."""
    with contextlib.suppress(ImportError):
        if name == HEIC:
            import pillow_heif

            pillow_heif.register_heif_opener(thumbnails=False)
            return "HEIF"
        if name == JPEG_XL:
            import brotli  # noqa: F401 - for its metadata
            import pillow_jxl  # noqa: F401 - registers itself

            return "JXL"
    return None
