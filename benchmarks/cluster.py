"""Compare ingest or embed by one and by two single-threaded workers of a dask cluster on this machine.

    python benchmarks/cluster.py [--stage embed] [--images 48] [--rounds 3]

The two take turns (1 2 1 2 ...), so that both see the same load. Prints JSON with images per second.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from pipeline.config import schema  # noqa: E402
from pipeline.config.sources import SampleSource  # noqa: E402
from pipeline.core.files import remove  # noqa: E402
from pipeline.dataset.ingest import ingest  # noqa: E402
from pipeline.storage.layouts import EMBEDDINGS, IMAGES  # noqa: E402
from pipeline.storage.store import Store  # noqa: E402


def measure(stage: str, images: int, rounds: int) -> dict[str, object]:
    from distributed import LocalCluster

    os.environ["PYTHONPATH"] = str(ROOT)
    throughputs: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        source = Store(Path(folder) / "images.zarr", IMAGES)
        options = {"limit": images, "images_per_shard": 8}
        ingest(SampleSource(), source, **options)
        if stage == "embed":
            from pipeline.networks import backend

            backend.start(1)
        clusters = {
            workers: LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0", protocol="tcp"
            )
            for workers in throughputs
        }

        def once(workers: int, number: int) -> float:
            address = clusters[workers].scheduler_address
            began = time.perf_counter()
            if stage == "ingest":
                made = Store(Path(folder) / f"{number}" / "images.zarr", IMAGES)
                ingest(SampleSource(), made, scheduler=address, **options)
                seconds = time.perf_counter() - began
                remove(made.path.parent)
            else:
                from pipeline.embedding.embed import embed

                made = Store(Path(folder) / "embeddings.zarr", EMBEDDINGS)
                remove(made.path)
                remove(made.records)
                began = time.perf_counter()
                embed(source, made, schema.Embedding(batch_size=8), scheduler=address)
                seconds = time.perf_counter() - began
            return images / seconds

        for workers in throughputs:
            once(workers, -workers)  # imports, and loads the network
        for number in range(2 * rounds):
            workers = 1 + number % 2
            throughputs[workers].append(once(workers, number))
        for cluster in clusters.values():
            cluster.close()
    medians = {workers: statistics.median(rates) for workers, rates in throughputs.items()}
    return {
        "stage": stage,
        "images": images,
        "rounds": rounds,
        "cpus": os.cpu_count(),
        "images_per_second": {
            workers: {
                "median": round(medians[workers], 2),
                "lowest": round(min(rates), 2),
                "highest": round(max(rates), 2),
            }
            for workers, rates in throughputs.items()
        },
        "ratio": round(medians[2] / medians[1], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", choices=("ingest", "embed"), default="ingest")
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.stage, arguments.images, arguments.rounds), indent=2))


if __name__ == "__main__":
    main()
