"""Anonymous memory of ingest and embed, at its peak, for n images of 224x224 in the layout of Kaggle's archive.

    python -m benchmarks.memory [--images 25000] [--network stub] [--folder /tmp/x] [--keep]

Each stage runs in a process of its own, whose RssAnon is read from /proc (Linux) a hundred times a second; mapped files
are not counted. "start" is TensorFlow's own: imports and Keras' start. With a stub network, embed computes random
numbers from each image's mean L instead of embeddings, and everything else as always. With the real one, "start" also
loads the network and embeds the first shard's images. Prints JSON.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
DISTINCT = 500  # images that are drawn; the others repeat them, each with its own number in its first pixels

START = """
from pipeline import config
from pipeline.backend import start
start(config.Config().threads)
import pipeline.embed, pipeline.inception
"""
STUB = """
import sys
import numpy as np
from pipeline import embed, files, recipes
from stages.__main__ import main

def stub(embedding, saved):
    files.write_json(saved.with_name("embedding_network.json"), recipes.weights(embedding))
    def network(lightness):
        seeds = (1000 * lightness.mean(axis=(1, 2))).astype(int)
        return np.stack([np.random.default_rng(seed).normal(0, 1, 1000).astype(np.float32) for seed in seeds])
    return network

embed._load = stub
main(sys.argv[1:])
"""


def photographs(rng, n):
    """L (n, 224, 224) and ab (n, 224, 224, 2) uint8: smooth fields with some noise, which compress by about half."""
    import cv2

    coarse = rng.normal(0, 1, (n, 7, 7, 3)) * (60, 12, 12) + (130, 130, 135)
    smooth = np.stack([cv2.resize(image, (224, 224), interpolation=cv2.INTER_CUBIC) for image in coarse])
    values = np.clip(smooth + rng.normal(0, 1, smooth.shape), 0, 255).astype(np.uint8)
    return values[..., 0], values[..., 1:]


def write_archive(folder, n):
    """gray_scale.npy and three parts of ab, written piece by piece."""
    lightness, ab = photographs(np.random.default_rng(0), DISTINCT)
    parts = [("l/gray_scale", 0, n)]
    cuts = [0, n * 2 // 5, n * 4 // 5, n]
    parts += [(f"ab/ab/ab{i + 1}", cuts[i], cuts[i + 1]) for i in range(3)]
    for name, first, stop in parts:
        path = folder / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        images = lightness if name.startswith("l/") else ab
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": "|u1", "fortran_order": False, "shape": (stop - first, *images.shape[1:])}
            )
            for row in range(first, stop):
                image = images[row % DISTINCT].copy()
                image.reshape(-1)[:4] = np.frombuffer(np.uint32(row).tobytes(), np.uint8)
                file.write(image.data)


def peak(*arguments):
    """Seconds, and the largest RssAnon in MiB, of a Python process."""
    began, highest = time.monotonic(), 0
    process = subprocess.Popen([sys.executable, *map(str, arguments)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        for line in status.splitlines():
            if line.startswith("RssAnon:"):
                highest = max(highest, int(line.split()[1]))
        time.sleep(0.01)
    if process.returncode:
        raise SystemExit(process.stderr.read())
    return {"seconds": round(time.monotonic() - began, 1), "peak_mib": round(highest / 1024)}


def measure(folder, n, network):
    write_archive(folder / "archive", n)
    settings = {
        "dataset": "synthetic",
        "datasets": {"synthetic": {"kind": "kaggle", "path": str(folder / "archive")}},
        "data": str(folder / "data"),
    }
    path = folder / "settings.yaml"
    path.write_text(json.dumps(settings))
    found = {
        "images": n,
        "archive_gib": round(n * 3 * 224**2 / 2**30, 2),
        "network": network if network == "real" else "stub network: random numbers from the mean of L",
        "ingest": peak("-m", "stages", "ingest", "--config", path),
    }
    if network == "stub":
        found["start"] = peak("-c", START)
        found["embed"] = peak("-c", STUB, "embed", "--config", path)
    else:
        few = ("--set", f"data={folder / 'few'}", "--set", "limit=64")
        peak("-m", "stages", "ingest", "--config", path, *few)
        found["start"] = peak("-m", "stages", "embed", "--config", path, *few)
        found["embed"] = peak("-m", "stages", "embed", "--config", path)
    found["embed_beyond_start_mib"] = found["embed"]["peak_mib"] - found["start"]["peak_mib"]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--network", choices=("stub", "real"), default="stub")
    parser.add_argument("--folder", type=Path, help="where to work; default: a new folder below the temporary one")
    parser.add_argument("--keep", action="store_true", help="keep the archive and the stores")
    arguments = parser.parse_args()
    if arguments.folder:
        arguments.folder.mkdir(parents=True, exist_ok=True)
    os.environ.pop("DEEPCOLOR_CONFIG", None)
    folder = Path(tempfile.mkdtemp(dir=arguments.folder, prefix="memory-"))
    try:
        print(json.dumps(measure(folder, arguments.images, arguments.network), indent=2))
    finally:
        if not arguments.keep:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
