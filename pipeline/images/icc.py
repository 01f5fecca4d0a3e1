"""Conversion from an ICC profile to sRGB: by Pillow for 8 bits, here for 16 bits, which Pillow would reduce."""

import contextlib
import io
import struct

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from pipeline.images.formats import UnreadablePhotograph
from pipeline.images.light import Float, Levels, eight_bits, encoded, in_strips, linear_light

# From XYZ under D50, the white point of every profile, to linear sRGB (Bradford adaptation).
_FROM_D50 = np.array([
    [3.1338561, -1.6168667, -0.4906146],
    [-0.9787684, 1.9161415, 0.0334540],
    [0.0719453, -0.2289914, 1.4052427],
])  # fmt: skip
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_BRADFORD_INVERSE = np.linalg.inv(_BRADFORD)
_SAME = 2e-3  # sRGB profiles differ by rounding
_GRID = np.linspace(0, 1, 2**16)
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_HDR = {16: "PQ", 18: "HLG"}
_BRIGHT = 500.0  # cd/m², twice the white of usual displays
THREADS = 2


def refuse_hdr(transfer: int | None, brightest: float = 0.0) -> None:
    """Raise UnreadablePhotograph for a picture whose white lies far below its highest level.

    Args:
        transfer: the transfer function, by its number in ITU-T H.273.
        brightest: what the highest level stands for, in cd/m².
    """
    if kind := _HDR.get(transfer or 0) or (f"{brightest:g} cd/m²" if brightest > _BRIGHT else None):
        raise UnreadablePhotograph(f"made for HDR displays ({kind}), which is not read; convert it to sRGB first")


def _transfer_of(profile: bytes) -> int | None:
    """Return the number of the transfer function that a profile names (ICC.1:2022, 9.2.17)."""
    for at in range(132, 132 + 12 * min(int.from_bytes(profile[128:132], "big"), 100), 12):
        if profile[at : at + 4] == b"cicp":
            place = int.from_bytes(profile[at + 4 : at + 8], "big") + 9
            return next(iter(profile[place : place + 1]), None)
    return None


def to_srgb(levels: Levels, profile: bytes | None) -> tuple[Levels, str]:
    """Convert levels (H, W) or (H, W, 3), uint8 or uint16, to sRGB; also return a remark if that lost depth.

    Raises:
        UnreadablePhotograph: the profile is one for HDR displays.
    """
    if not profile:
        return levels, ""
    refuse_hdr(_transfer_of(profile))
    if levels.dtype == np.uint16:
        converted = _with_16_bits(levels, profile)
        if converted is not None:
            return converted, ""
    converted = _by_pillow(Image.fromarray(eight_bits(levels)), profile)
    if converted is None:
        return levels, ""
    if levels.dtype == np.uint8:
        return converted, ""
    return converted.astype(np.uint16) * 257, "its colour profile was applied with 8 bits"


def picture_to_srgb(picture: Image.Image, profile: bytes | None) -> Levels:
    """Convert a picture of mode L to sRGB (H, W), or of RGB, CMYK or LAB to sRGB (H, W, 3) uint8.

    A damaged profile, or one of another colour space, is ignored.

    Raises:
        UnreadablePhotograph: the profile is one for HDR displays.
    """
    if picture.mode == "LAB":
        return np.asarray(_by_profile(picture, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))))
    if profile:
        refuse_hdr(_transfer_of(profile))
    if profile and (converted := _by_pillow(picture, profile)) is not None:
        return converted
    # Avoid copies of a large photograph: Pillow copies even a picture that is already RGB.
    return np.asarray(picture if picture.mode in ("L", "RGB") else picture.convert("RGB"))


def _by_pillow(picture: Image.Image, profile: bytes) -> Levels | None:
    """Convert as `picture_to_srgb`; return None if the profile is damaged or of another colour space."""
    with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if picture.mode == "L" and (curve := _gray_curve(profile)) is not None:
            return np.asarray(encoded(curve, "uint8")[np.asarray(picture).astype(np.uint16) * 257])
        if _MODES.get(embedded.profile.xcolor_space.strip()) == picture.mode:
            converted = _by_profile(picture, embedded)
            # The three channels from a gray profile are equal.
            return np.asarray(converted.getchannel(0) if picture.mode == "L" else converted)
    return None


def _by_profile(picture: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    converted = ImageCms.profileToProfile(
        picture,
        profile,
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if converted is None:
        raise UnreadablePhotograph("its colour profile cannot be applied")
    return converted


def matrix_profile(places: tuple[float, ...] | None, gamma: float | None) -> bytes | None:
    """Make a profile.

    Args:
        places: x and y of the white point and of red, green and blue; None for a gray profile.
        gamma: light is the level to the power of 1 / gamma; None for sRGB's curve.

    Returns:
        The profile, or None if there are no such colours.
    """
    curve = b"para\0\0\0\0\0\3\0\0" + _s15(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    if gamma is not None:
        curve = b"para\0\0\0\0\0\0\0\0" + _s15(1 / gamma)
    tags = {"wtpt": b"XYZ \0\0\0\0" + _s15(*_D50)}
    if places is None:
        tags["kTRC"] = curve
    else:
        with np.errstate(all="ignore"):
            x, y = np.array(places, float).reshape(4, 2).T
            xyz = np.array([x / y, np.ones(4), (1 - x - y) / y])
            white = xyz[:, 0]
            adapted = _BRADFORD_INVERSE @ np.diag(_BRADFORD @ _D50 / (_BRADFORD @ white)) @ _BRADFORD
            try:
                colours = adapted @ xyz[:, 1:] @ np.diag(np.linalg.solve(xyz[:, 1:], white))
            except np.linalg.LinAlgError:
                return None
        if not np.isfinite(colours).all() or np.abs(colours).max() > 4:
            return None
        for letter, column in zip("rgb", colours.T, strict=True):
            tags |= {f"{letter}XYZ": b"XYZ \0\0\0\0" + _s15(*column), f"{letter}TRC": curve}
    table, content = b"", b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name.encode(), 132 + 12 * len(tags) + len(content), len(data))
        content += data
    space = b"GRAY" if places is None else b"RGB "
    head = struct.pack(">I4s4s4s4s4s12s4s28s12s48s", 132 + len(table) + len(content), b"", b"\4\3\0\0", b"mntr", space,
                       b"XYZ ", struct.pack(">6H", 2000, 1, 1, 0, 0, 0), b"acsp", b"", _s15(*_D50), b"")  # fmt: skip
    return head + struct.pack(">I", len(tags)) + table + content


def _s15(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _with_16_bits(levels: Levels, profile: bytes) -> npt.NDArray[np.uint16] | None:
    """Convert; return None if the profile is damaged, or does not consist of curves and a matrix (printers' do not)."""
    try:
        if levels.ndim == 2:
            curve = _gray_curve(profile)
            return None if curve is None else np.asarray(encoded(curve, "uint16")[levels], np.uint16)
        space, tags = profile[16:20].decode("ascii").strip(), _tags(profile)
        if space != "RGB":
            return None
        curves = [_curve(tags[f"{letter}TRC"]) for letter in "rgb"]
        matrix = np.array([_fixed(tags[f"{letter}XYZ"][8:20]) for letter in "rgb"]).T
    except (KeyError, ValueError, IndexError, struct.error):
        return None
    mixing = (_FROM_D50 @ matrix).astype(np.float32)
    own = linear_light("uint16")
    if np.allclose(mixing, np.eye(3), atol=_SAME) and all(np.allclose(curve, own, atol=_SAME) for curve in curves):
        return levels
    return _converted(levels, curves, mixing)


def _gray_curve(profile: bytes) -> Float | None:
    """Return linear light of each of 65,536 levels by a gray profile, which Pillow applies coarsely to dark levels."""
    if profile[16:24] != b"GRAYXYZ ":
        return None
    try:
        return _curve(_tags(profile)["kTRC"])
    except (KeyError, ValueError, IndexError, struct.error):
        return None


def _converted(levels: Levels, curves: list[Float], matrix: Float) -> npt.NDArray[np.uint16]:
    out = np.empty(levels.shape, np.uint16)

    def strip(start: int, stop: int) -> None:
        linear = [curve[levels[start:stop, :, number]] for number, curve in enumerate(curves)]
        for number, shares in enumerate(matrix):
            mixed = sum(share * channel for share, channel in zip(shares, linear, strict=True))
            out[start:stop, :, number] = encoded(np.asarray(mixed, np.float32), "uint16")

    in_strips(strip, levels.shape, THREADS)
    return out


def _tags(profile: bytes) -> dict[str, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    table = (struct.unpack_from(">4sII", profile, 132 + 12 * number) for number in range(min(count, 100)))
    return {name.decode("ascii"): profile[start : start + size] for name, start, size in table}


def _fixed(data: bytes) -> npt.NDArray[np.float64]:
    return np.frombuffer(data, ">i4") / 65536


def _curve(tag: bytes) -> Float:
    """Return linear light, 0..1, of each of 65,536 levels: ICC.1:2022, 10.6 curveType and 10.18 parametricCurveType."""
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        table = np.frombuffer(tag, ">u2", count, 12)
        if count == 0:
            return _GRID.astype(np.float32)
        if count == 1:
            return np.asarray(_GRID ** (table[0] / 256), np.float32)
        return np.asarray(np.interp(_GRID, np.linspace(0, 1, count), table / 65535), np.float32)
    if tag[:4] != b"para":
        raise ValueError("expected a curv or para tag")
    (kind,) = struct.unpack_from(">H", tag, 8)
    g, a, b, c, d, e, f = (*_fixed(tag[12 : 12 + 4 * (1, 3, 4, 5, 7)[kind]]), *[0.0] * 7)[:7]
    if kind == 0:
        a, b = 1.0, 0.0
    if kind in (1, 2):
        c, d, e, f = 0.0, -b / a, c, c
    upper = np.maximum(a * _GRID + b, 0) ** g + e
    return np.asarray(np.where(d <= _GRID, upper, c * _GRID + f), np.float32)
