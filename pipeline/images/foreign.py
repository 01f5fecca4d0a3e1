"""Formats of pictures that are not read, recognised by their first bytes."""

HEAD = 64  # bytes
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_STARTS = {
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
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
        return "HEIC" if head[8:12] in _HEIF else "Canon raw" if head[8:12] == b"crx " else None
    return next((name for start, name in _STARTS.items() if head.startswith(start)), None)


def advice(name: str) -> str:
    """Return what to do with a file of such a format."""
    return (
        f"a file in the format {name}, which is not read; convert it to PNG or TIFF first, for example with "
        "ImageMagick (magick photograph photograph.png)"
    )
