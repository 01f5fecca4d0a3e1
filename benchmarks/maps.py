"""Rows of EfficientNet-Lite0: its embeddings and feature maps, and training of `color` on cached maps."""

import os
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.measure import THREADS, Line, in_turn, median, quotients
from pipeline.config.sources import SampleSource
from pipeline.networks import backend

backend.start(THREADS)

import keras  # noqa: E402

from pipeline.config import schema  # noqa: E402
from pipeline.config.paths import DatasetFiles  # noqa: E402
from pipeline.core import files  # noqa: E402
from pipeline.dataset.ingest import ingest  # noqa: E402
from pipeline.embedding import embed as embedding_stage  # noqa: E402
from pipeline.embedding import network as networks  # noqa: E402
from pipeline.embedding import registry  # noqa: E402
from pipeline.networks import builder, heads, inputs, notation  # noqa: E402
from pipeline.storage.layouts import VECTOR  # noqa: E402
from pipeline.training.batches import Batches, Examples  # noqa: E402

IMAGES_EMBEDDED = 96
PAPERS = 16  # images of the paper's network in a round, which is slower
BATCH = 16
NAMES = notation.ARCHITECTURES["color"].inputs
SETTINGS = schema.Embedding()
ENTRY = registry.ENTRIES[SETTINGS.network]


def features() -> list[Line]:
    lines = []
    papers = registry.ENTRIES["inception_resnet_v2"]
    keras.config.set_dtype_policy("float32")
    slow = papers.build(None, "logits")
    slow_input = np.random.default_rng(0).random((PAPERS, papers.side, papers.side, 3), np.float32)
    maps = tuple(name for name in ENTRY.outputs if name != VECTOR)
    with tempfile.TemporaryDirectory() as name:
        dataset = DatasetFiles(Path(name))
        images = dataset.images
        ingest(SampleSource(), images, limit=IMAGES_EMBEDDED, images_per_shard=16)
        gray = images.read("L", 0, IMAGES_EMBEDDED)
        rgb = np.asarray(networks.GrayPhotograph(ENTRY)(gray))
        everything = networks.build_network(SETTINGS, "imagenet")
        for what, store, outputs in (("embed", dataset.embeddings, (VECTOR,)), ("features", dataset.features, maps)):
            network = keras.Model(everything.inputs, {each: everything.output[each] for each in outputs})

            def ours(store=store, outputs=outputs) -> None:  # type: ignore[no-untyped-def]
                files.remove(store.records)
                embedding_stage.embed(images, store, SETTINGS, outputs=outputs)

            def bare(network: keras.Model = network) -> None:
                for start in range(0, len(rgb), SETTINGS.batch_size):
                    network.predict_on_batch(rgb[start : start + SETTINGS.batch_size])

            def paper() -> None:
                slow.predict_on_batch(slow_input)

            for function in (ours, bare, paper):
                function()
            took, computing, slowly = in_turn(ours, bare, paper, rounds=5)
            rate = f"{IMAGES_EMBEDDED / median(took):.3g} images/s"
            what = f"{what} with {ENTRY.label}, zarr to zarr, float32"
            compared = f"the bare network on arrays in memory: {IMAGES_EMBEDDED / median(computing):.3g} images/s"
            lines.append(Line(what, rate, compared, quotients(computing, took), 0.9))
            each = [seconds * IMAGES_EMBEDDED / PAPERS for seconds in slowly]
            compared = f"the bare {papers.label}: {PAPERS / median(slowly):.3g} images/s"
            lines.append(Line(what, rate, compared, quotients(each, took), 2.0))
    return lines


def cached() -> list[Line]:
    n = 6 * BATCH
    draws = np.random.default_rng(0)
    shapes = ENTRY.outputs
    embedded = {name: draws.standard_normal((n, *shape), np.float32) for name, shape in shapes.items()}
    embedded = {name: values if name == VECTOR else values.astype(np.float16) for name, values in embedded.items()}
    lightness, ab = (draws.integers(0, 256, (n, 224, 224, *more), np.uint8) for more in ((), (2,)))
    model = builder.build("color", l2=0.0)
    builder.compile_to_train(model, heads.choose("classes"), keras.optimizers.Adam(1e-4))
    network = networks.load(SETTINGS, Path(tempfile.mkdtemp()) / DatasetFiles.network.name, tuple(shapes))
    with tempfile.TemporaryDirectory() as folder:

        def mapped(name: str, array: np.ndarray) -> np.ndarray:
            """Map a file whose pages the operating system has dropped, so that they are read from the disk again."""
            path = Path(folder) / name
            if not path.exists():
                path.write_bytes(array.data)
            with path.open("rb+") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                return np.memmap(file, array.dtype, "r", shape=array.shape)

        memory = Examples(lightness, ab, embedded)

        def from_disk() -> None:
            maps = {name: mapped(name, values) for name, values in embedded.items()}
            epoch(Examples(mapped("L", lightness), mapped("ab", ab), maps))

        def epoch(examples: Examples) -> None:
            batches = Batches(examples, NAMES, BATCH, shuffle_seed=0)
            batches.shuffle(1)
            model.fit(backend.stream(batches), shuffle=False, verbose=0)

        def computed() -> None:
            for start in range(0, n, BATCH):
                rows = slice(start, start + BATCH)
                batch = inputs.ImageBatch(lightness[rows], network(lightness[rows]), ab[rows])
                model.train_on_batch(inputs.arrays(NAMES, batch), ab[rows])

        epoch(memory)
        from_disk()
        computed()
        fast, mapping, slow = in_turn(lambda: epoch(memory), from_disk, computed, rounds=3)
    rates = {name: f"{n / median(times):.3g} images/s" for name, times in (("memory", fast), ("disk", mapping))}
    what = f"one epoch of color, batch {BATCH}, maps"
    compared = f"maps computed for every batch: {n / median(slow):.3g} images/s"
    return [
        Line(
            f"{what} on disk",
            rates["disk"],
            f"maps in memory: {rates['memory']}",
            quotients(fast, mapping),
            0.9,
        ),
        Line(f"{what} in memory", rates["memory"], compared, quotients(slow, fast), 1.1),
        Line(f"{what} on disk", rates["disk"], compared, quotients(slow, mapping), 1.1),
    ]
