"""Compare methods of upsampling colours from the network's resolution to the photograph's.

    python -m benchmarks.upsampling [FOLDER]

The true a and b, averaged over squares of 4, 8 or 16 pixels, replace the network's. For each method, print the mean and
the 95 % quantile of CIEDE2000 at full size, as means over the photographs, and the share of photographs on which it is
better than bilinear interpolation. The photographs are the colourful ones of scikit-image's and, if a folder is named,
of 26 random JPEGs in it. Takes about two minutes on two cores.
"""

import argparse
import random
from pathlib import Path

import cv2
import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab

from pipeline.colorize.upsampling import Upsampling
from pipeline.dataset.sources.sample import sample_photographs
from pipeline.images import prepare
from pipeline.images.photographs import decode, read_bytes

FACTORS = (4, 8, 16)
LIBRARY = hasattr(cv2, "ximgproc")  # OpenCV's contrib build


def methods(low, guide_low, guide, factor):
    """a and b at full size, (H, W, 2), by name."""
    shape = guide.shape

    def resized(interpolation):
        return cv2.resize(low, shape[::-1], interpolation=interpolation)

    def fitted(**options):
        return np.dstack(Upsampling(low, guide_low, shape, **options).rows(0, guide))

    bilinear = resized(cv2.INTER_LINEAR)
    yield "bilinear", bilinear
    yield "nearest", resized(cv2.INTER_NEAREST)
    yield "bicubic (steadiness without end)", fitted(steadiness=1e12)
    for steadiness in (30.0, 100.0, 300.0):
        for sigma in (0.7, 1.0):
            yield f"ours, steadiness {steadiness:g}, sigma {sigma}", fitted(steadiness=steadiness, sigma=sigma)
    if LIBRARY:
        for radius in (factor // 2, factor):
            for eps in (1.0, 50.0):
                name = f"OpenCV guided filter, radius {radius / factor:g} squares, eps {eps:g}"
                yield name, cv2.ximgproc.guidedFilter(guide, bilinear, radius, eps)
        for sigma in (4.0, 12.0):
            planes = [np.ascontiguousarray(plane) for plane in np.moveaxis(bilinear, -1, 0)]
            filtered = [cv2.ximgproc.jointBilateralFilter(guide, plane, -1, sigma, factor / 2) for plane in planes]
            yield f"OpenCV joint bilateral, sigma {sigma:g}, 0.5 squares", np.dstack(filtered)


def photographs(folder):
    paths = [path for path in sample_photographs() if path.stem not in ("motorcycle_right", "hubble_deep_field")]
    more = sorted(folder.glob("*.jpg")) if folder else []
    random.Random(0).shuffle(more)
    for number, path in enumerate(paths + more):
        rgb = prepare.srgb(decode(read_bytes(path)))[:512, :512]
        lab = rgb2lab(rgb).astype(np.float32)
        if np.hypot(lab[..., 1], lab[..., 2]).mean() >= 6:
            yield lab
        if number == len(paths) + 25:
            break


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.upsampling", description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="measure also 26 random JPEGs of this folder")
    pictures = list(photographs(parser.parse_args().folder))
    print(f"{len(pictures)} photographs")
    for factor in FACTORS:
        differences = {}
        for lab in pictures:
            height, width = (side // factor * factor for side in lab.shape[:2])
            lab = lab[:height, :width]
            low = lab.reshape(height // factor, factor, width // factor, factor, 3).mean(axis=(1, 3))
            guide = np.ascontiguousarray(lab[..., 0])
            for name, ab in methods(
                np.ascontiguousarray(low[..., 1:]), np.ascontiguousarray(low[..., 0]), guide, factor
            ):
                step = 2 if lab.size > 500_000 else 1
                difference = deltaE_ciede2000(lab[::step, ::step], np.dstack([guide, ab])[::step, ::step])
                differences.setdefault(name, []).append((difference.mean(), np.quantile(difference, 0.95)))
        plain = np.array(differences["bilinear"])[:, 0]
        print(f"\nfactor {factor}\n{'':46}   mean    p95   better than bilinear on")
        for name, values in sorted(differences.items(), key=lambda item: np.mean(item[1], axis=0)[0]):
            mean, tail = np.mean(values, axis=0)
            better = (np.array(values)[:, 0] < plain).mean()
            print(f"{name:46} {mean:6.3f} {tail:6.3f}   {better:4.0%}")


if __name__ == "__main__":
    main()
