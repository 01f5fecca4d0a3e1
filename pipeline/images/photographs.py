"""Any photograph file as upright sRGB pixels."""

import contextlib
import io
import logging
import math
import stat
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from pipeline.images.lab import SIZE, UInt8

# Pillow warns of metadata it cannot read, file by file; the pixels count here.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

# Named, so that a file that merely bears a photograph's name never reaches, say, the PostScript interpreter.
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "AVIF", "JPEG2000")
BYTES_PER_PIXEL = 16  # no file of an allowed size is larger than this many bytes per pixel

_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PROFILE_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_opening = threading.Lock()


# Their messages name no file; the report does.
for _name in ("tifffile", "PIL"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class UnreadablePhotograph(Exception):
    """The file is no photograph that can be used; the message says why, in one line.

    Attributes:
        reason: "unreadable" or "too large".
    """

    def __init__(self, detail: str, reason: str = "unreadable") -> None:
        super().__init__(" ".join(detail.split()))
        self.reason = reason


def open_photograph(path: Path, max_megapixels: float = 300.0, at_least: int | None = None) -> UInt8:
    """Read a photograph as sRGB (h, w, 3) uint8: upright, colour profile applied, transparency over white.

    Args:
        path: a file of one of `FORMATS`, whatever its extension.
        max_megapixels: larger ones are refused before they are decoded.
        at_least: the shorter side that the caller will reduce to, in pixels; large JPEGs are then decoded at a half,
            a quarter or an eighth, with a shorter side of at least twice that.

    Raises:
        UnreadablePhotograph: says why.
    """
    return decode_photograph(read_bytes(path, max_megapixels), max_megapixels, at_least)


def read_bytes(path: Path, max_megapixels: float = 300.0) -> bytes:
    """The bytes of a photograph's file; raises as `check_file`."""
    check_file(path, max_megapixels)
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadablePhotograph(f"cannot be read: {error.strerror}") from None


def check_file(path: Path, max_megapixels: float = 300.0) -> None:
    """Refuse what is not to be read at all, not even for its digest.

    Raises:
        UnreadablePhotograph: there is no such file, or it is empty, endless, or too large for a photograph.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadablePhotograph("not an ordinary file")
        if status.st_size == 0:
            raise UnreadablePhotograph("empty file")
        if status.st_size > 2**26 + BYTES_PER_PIXEL * max_megapixels * 1e6:
            raise UnreadablePhotograph(
                f"a file of {status.st_size / 1e6:.0f} MB; at most {max_megapixels:g} megapixels are read "
                "(max_megapixels)",
                reason="too large",
            )
    except OSError as error:
        raise UnreadablePhotograph(f"cannot be read: {error.strerror}") from None


def decode_photograph(data: bytes, max_megapixels: float = 300.0, at_least: int | None = None) -> UInt8:
    """`open_photograph` for the bytes of a file."""
    try:
        image, orientation = decoded_image(data, max_megapixels, at_least)
        image = srgb_image(image)
        if orientation in _TURN:
            image = image.transpose(_TURN[orientation])
        return np.array(image)
    except (UnreadablePhotograph, MemoryError):
        raise
    except Exception as error:  # decoders meet broken files with exceptions of nearly every kind
        raise UnreadablePhotograph(f"cannot be decoded: {error or type(error).__name__}") from None


def centre_square(rgb: UInt8, size: int = SIZE) -> UInt8:
    """The centre of a photograph (h, w, 3) uint8 as (size, size, 3): shorter side to `size`, then cut (LANCZOS)."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    # Resizing the square alone is the same, and does not blow up a panorama of one pixel's height.
    box = (left, top, left + side, top + side)
    return np.array(Image.fromarray(rgb).resize((size, size), Image.Resampling.LANCZOS, box=box))


def decoded_image(data: bytes, max_megapixels: float, at_least: int | None) -> tuple[Image.Image, int]:
    """The picture of a file, as its pixels lie there, and its EXIF orientation; arguments as of `decode_photograph`.

    Raises:
        UnreadablePhotograph: it cannot be decoded, is truncated, or too large.
    """
    try:
        image = header_of(data)
    except UnidentifiedImageError:
        if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return _decoded_by_tifffile(data, max_megapixels)
        raise UnreadablePhotograph("not an image of a known format, or its header is broken") from None
    _check_size(image.width, image.height, max_megapixels)
    if image.format == "TIFF" and _planes_of_16_bits(image):
        return _decoded_by_tifffile(data, max_megapixels)
    if image.format == "TIFF" and _covered(image) < image.width * image.height:
        raise UnreadablePhotograph("truncated")  # Pillow leaves black what no strip holds
    if at_least is not None:
        image.draft(None, (2 * at_least, 2 * at_least))
    image.load()
    orientation = 1
    with contextlib.suppress(Exception):  # broken metadata is no reason to refuse the pixels
        orientation = int(image.getexif().get(ExifTags.Base.Orientation, 1))
    return image, orientation


def header_of(data: bytes) -> Image.Image:
    """The picture of a file, of which the header alone is read."""
    # Pillow's limit is one for the whole process and can be lower than ours, which is checked next. It is lifted only
    # while a header in memory is parsed, by one thread at a time.
    with _opening:
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            return Image.open(io.BytesIO(data), formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check_size(width: int, height: int, max_megapixels: float) -> None:
    if width * height > max_megapixels * 1e6:
        raise UnreadablePhotograph(
            f"{width} x {height} pixels are more than {max_megapixels:g} megapixels (max_megapixels)",
            reason="too large",
        )


def _covered(image: Image.Image) -> int:
    """How many pixels the strips of a TIFF hold, those of each plane counted."""
    tiles: Any = getattr(image, "tile", [])
    return sum((right - left) * (lower - upper) for _, (left, upper, right, lower), *_ in tiles)


def _planes_of_16_bits(image: Image.Image) -> bool:
    # Pillow 13 takes their bytes for 8-bit samples, without an error.
    tags: Any = getattr(image, "tag_v2", {})
    return bool(tags.get(284) == 2 and max(tags.get(258, (8,))) > 8)


def _decoded_by_tifffile(data: bytes, max_megapixels: float) -> tuple[Image.Image, int]:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages[0]
        _check_size(page.imagewidth, page.imagelength, max_megapixels)
        kind = page.photometric.name if page.photometric in (1, 2) else "other"
        if kind == "other" or page.axes not in ("YX", "YXS", "SYX") or page.dtype not in (np.uint8, np.uint16):
            raise UnreadablePhotograph(
                f"a TIFF of {page.dtype} {getattr(page.photometric, 'name', '')}; save it as RGB of 8 or 16 bits"
            )
        # tifffile fills what is missing with zeros.
        ends = [start + size for start, size in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if len(ends) < math.prod(page.chunked) or max(ends, default=0) > len(data):
            raise UnreadablePhotograph("truncated")
        pixels = page.asarray()
        if page.axes == "SYX":
            pixels = np.moveaxis(pixels, 0, -1)
        if kind == "RGB":
            pixels = pixels[..., : 4 if page.extrasamples == (2,) else 3]  # the fourth is then unassociated alpha
        else:
            pixels = pixels.reshape(*pixels.shape[:2], -1)[..., 0]
        image = Image.fromarray(np.ascontiguousarray(_eight_bits(pixels)))
        if 34675 in page.tags:
            image.info["icc_profile"] = page.tags[34675].value
        return image, int(page.tags[274].value) if 274 in page.tags else 1


def _eight_bits(pixels: np.ndarray[Any, Any]) -> UInt8:
    return pixels if pixels.dtype == np.uint8 else np.rint(pixels / np.float32(257)).astype(np.uint8)


def srgb_image(image: Image.Image) -> Image.Image:
    """RGB, whatever the mode."""
    profile = image.info.get("icc_profile")
    if image.mode in _SIXTEEN_BIT:
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise UnreadablePhotograph("32 bits a pixel, whose white is unknown; save it with 8 or 16 bits")
        return from_profile(Image.fromarray(_eight_bits(values.astype(np.uint16))), profile)
    if image.mode == "F":
        raise UnreadablePhotograph("floating-point pixels, whose white is unknown; save it with 8 or 16 bits")
    if image.mode == "LAB":
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        return _by_profile(image, lab)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, (255, 255, 255))
        return Image.composite(from_profile(image.convert("RGB"), profile), white, image.getchannel("A"))
    return from_profile(image if image.mode in _PROFILE_MODES.values() else image.convert("RGB"), profile)


def from_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture in sRGB, of whose mode the colour profile is; as it is, where there is none or a broken one."""
    if profile:
        # A broken profile, or one of another colour space, is as good as none.
        with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
            embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if _PROFILE_MODES.get(embedded.profile.xcolor_space.strip()) == image.mode:
                return _by_profile(image, embedded)
    return image.convert("RGB")


def _by_profile(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image,
        profile,
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if converted is None:
        raise UnreadablePhotograph("its colour profile gives no picture")
    return converted
