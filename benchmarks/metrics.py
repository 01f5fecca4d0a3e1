"""Compare the time of all metrics of one answer with that of scikit-image's CIEDE2000 alone, on the same images.

    python -m benchmarks.metrics [--images 5000] [--threads 1]

Images are synthetic (see `benchmarks.datasets`), and predictions are the truth with noise. Both start from 8-bit L and
ab; scikit-image's time includes two conversions to sRGB, two to Lab and the difference. Prints JSON: seconds, the ratio
over all images and its spread over pieces of 100, and the growth of the process's memory after the first piece.
"""

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
from skimage.color import deltaE_ciede2000, rgb2lab

from benchmarks.datasets import photographs
from pipeline.evaluation import measures, metrics
from pipeline.evaluation.predictors import Batch
from pipeline.evaluation.scoring import Scores
from pipeline.images import lab

PIECE, BATCH = 100, 16


def measure(images, threads):
    rng = np.random.default_rng(0)
    scores = Scores(images)
    rarity = metrics.rarity(np.ones(metrics.COLOR_BINS, np.int64))
    seconds = {"ours": [], "scikit-image's CIEDE2000": []}
    memory = []
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, images, PIECE):
            lightness, ab = photographs(rng, min(PIECE, images - start))
            predicted = (ab + rng.normal(0, 8, ab.shape)).astype(np.float32)
            began = time.perf_counter()
            for first in range(0, len(ab), BATCH):
                rows = slice(first, first + BATCH)
                truth = measures.Truth(lightness[rows], ab[rows], np.tile(rarity, (len(ab[rows]), 1)))
                batch = Batch(np.arange(start, start + len(ab))[rows], truth)
                scores.measure(pool, batch, {"model": predicted[rows]})
            seconds["ours"].append(time.perf_counter() - began)
            began = time.perf_counter()
            alone = np.empty(len(ab))
            for row in range(len(ab)):
                pair = (lab.to_rgb(lightness[row : row + 1], values[row : row + 1]) for values in (ab, predicted))
                alone[row] = deltaE_ciede2000(*map(rgb2lab, pair)).mean()
            seconds["scikit-image's CIEDE2000"].append(time.perf_counter() - began)
            np.testing.assert_allclose(scores.answers["model"]["ciede2000"][start : start + len(ab)], alone, rtol=1e-6)
            memory.append(psutil.Process().memory_info().rss)
    ours, alone = (np.array(values) for values in seconds.values())
    return {
        "images": images,
        "threads": threads,
        "seconds": {name: round(sum(values), 1) for name, values in seconds.items()},
        "ratio": round(float(ours.sum() / alone.sum()), 2),
        "ratio_of_pieces": {
            "lowest": round(float((ours / alone).min()), 2),
            "highest": round(float((ours / alone).max()), 2),
        },
        "growth_mib": round((max(memory) - memory[0]) / 2**20),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.images, arguments.threads), indent=2))


if __name__ == "__main__":
    main()
