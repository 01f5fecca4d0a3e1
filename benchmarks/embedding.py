"""The embed stage, from zarr to zarr."""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.measure import THREADS, Line, in_turn, median, quotients
from pipeline.config.sources import SampleSource
from pipeline.core import machine
from pipeline.networks import backend

backend.start(THREADS)

import keras  # noqa: E402

from pipeline.config import schema  # noqa: E402
from pipeline.core import files  # noqa: E402
from pipeline.dataset.ingest import ingest  # noqa: E402
from pipeline.embedding import embed as embedding_stage  # noqa: E402
from pipeline.embedding import network as networks  # noqa: E402
from pipeline.embedding import registry  # noqa: E402
from pipeline.storage.layouts import EMBEDDINGS, IMAGES  # noqa: E402
from pipeline.storage.store import Store  # noqa: E402

IMAGES_EMBEDDED = 32
ROUNDS = 3


def embed() -> list[Line]:
    fast = machine.fastest_precision()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images, embeddings = Store(folder / "images.zarr", IMAGES), Store(folder / "embeddings.zarr", EMBEDDINGS)
        ingest(SampleSource(), images, limit=IMAGES_EMBEDDED, images_per_shard=16)
        plain = networks.build_network(schema.Embedding(network="inception_resnet_v2", weights="random"), None)
        weights = folder / "network.weights.h5"
        plain.save_weights(weights)
        settings = schema.Embedding(network="inception_resnet_v2", weights=str(weights), precision=fast)
        gray = images.read("L", 0, IMAGES_EMBEDDED)
        rgb = np.asarray(networks.GrayPhotograph(registry.ENTRIES[settings.network])(gray))
        keras.config.set_dtype_policy(fast)
        bare = networks.build_network(settings, None)

        def ours() -> None:
            files.remove(embeddings.records)
            embedding_stage.embed(images, embeddings, settings)

        def predict() -> None:
            plain.predict(rgb, batch_size=settings.batch_size, verbose=0)

        def network() -> None:
            for start in range(0, len(rgb), settings.batch_size):
                bare.predict_on_batch(rgb[start : start + settings.batch_size])

        ours()
        plain.predict(rgb[: settings.batch_size], verbose=0)  # traces a different function from predict_on_batch
        bare.predict_on_batch(rgb[: settings.batch_size])
        took, predicting, computing = in_turn(ours, predict, network, rounds=ROUNDS)
    kind = "bfloat16" if fast == "mixed_bfloat16" else "float32"
    what = f"embed, zarr to zarr, {kind}"
    rate = f"{IMAGES_EMBEDDED / median(took):.3g} images/s"
    note = "" if fast == "mixed_bfloat16" else "The target is for bfloat16, which this processor does not support."
    return [
        Line(
            what,
            rate,
            f"`model.predict` of an RGB array in memory, float32: {IMAGES_EMBEDDED / median(predicting):.3g} images/s",
            quotients(predicting, took),
            1.4,
            note=note,
        ),
        Line(
            what,
            rate,
            f"the bare network on arrays in memory, {kind}: {IMAGES_EMBEDDED / median(computing):.3g} images/s",
            quotients(computing, took),
            0.95,
        ),
    ]
