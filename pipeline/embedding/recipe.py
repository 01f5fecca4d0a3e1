"""The settings that determine an embedding, as JSON values, known without loading a network."""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.config import schema
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.embedding import registry
from pipeline.storage.layouts import VECTOR

CALIBRATION_IMAGES = 16
RANDOM_RECIPE = (
    f"1: Glorot uniform kernels from numpy's default_rng(seed), batch-norm statistics of {CALIBRATION_IMAGES} "
    "sample photographs"
)


def weights(embedding: schema.Embedding) -> dict[str, Any]:
    """Return what identifies the embedding network's weights.

    Returns:
        ``weights`` is "imagenet" for the official file, whatever its path, "file" for another file, and "random" for
        weights drawn from a seed. The other keys are a digest, or the seed and the recipe.

    Raises:
        InputError: the network is unknown, or has no such weights.
    """
    entry = registry.ENTRIES[embedding.network]
    if embedding.weights == "random":
        # The same seed gives different weights for each network; records of the default network do not name it.
        named = {} if embedding.network == schema.DEFAULT_NETWORK else {"network": entry.record}
        return {"weights": "random", "seed": embedding.seed, "recipe": RANDOM_RECIPE, **named}
    if embedding.weights == "imagenet":
        if not entry.weights_md5:
            raise InputError(
                f"embedding.weights: {entry.label} has no official weights; set random or the path of an .h5 file"
            )
        return {"weights": "imagenet", "md5": entry.weights_md5}
    path = Path(embedding.weights).expanduser()
    if path.suffix not in (".h5", ".hdf5"):
        raise InputError(
            f"embedding.weights: expected random, imagenet or the path of an .h5 file, received {embedding.weights!r}"
        )
    if not path.is_file():
        raise InputError(
            f"embedding.weights: {path} is not a file; put {entry.weights_file or 'the weights'} there, or set random "
            "or imagenet"
        )
    md5 = _md5(path, path.stat().st_mtime_ns)
    return {"weights": "imagenet" if md5 == entry.weights_md5 else "file", "md5": md5}


@lru_cache
def _md5(path: Path, changed: int) -> str:
    return files.digest_file(path, "md5")


def settings(embedding: schema.Embedding, images_per_shard: int, outputs: Iterable[str] = (VECTOR,)) -> dict[str, Any]:
    """Return what determines a store of embeddings, apart from the images' bytes and the number of threads."""
    entry = registry.ENTRIES[embedding.network]
    gray = f"L alone through CIE Lab to gray sRGB 0..255, bilinear to {entry.side}x{entry.side}, three equal channels"
    return {
        "network": entry.record,
        **weights(embedding),
        "activation": embedding.activation,
        "precision": embedding.precision,
        "batch_size": embedding.batch_size,
        "images_per_shard": images_per_shard,
        "preprocessing": f"{gray}, {entry.preprocessing}",
        **({} if (stored := [*outputs]) == [VECTOR] else {"outputs": stored}),
    }


def recognition(embedding: schema.Embedding) -> dict[str, Any] | None:
    """Return what determines the features and logits of coloured pictures; None without ImageNet weights.

    Raises:
        InputError: the network is unknown, or has no such weights.
    """
    kind, entry = weights(embedding), registry.ENTRIES[embedding.network]
    if kind["weights"] != "imagenet" or not entry.features:
        return None
    return {
        "network": entry.record,
        **kind,
        "precision": "float32",
        "batch_size": embedding.batch_size,
        "preprocessing": f"sRGB 0..255, bilinear to {entry.side}x{entry.side}, {entry.preprocessing}",
    }


def label(made_with: dict[str, Any]) -> str:
    """Describe the weights in a few words for logs, tables and figures, with the network if it is not the default."""
    kind = made_with.get("weights")
    default = registry.ENTRIES[schema.DEFAULT_NETWORK].record
    name = str(made_with.get("network", default))
    entry = registry.find(name)
    prefix = "" if name == default else f"{entry.label if entry else name}, "
    if kind == "random":
        return f"{prefix}RANDOM (seed {made_with.get('seed')}; not ImageNet features)"
    file = f"a file with MD5 {made_with.get('md5')} (not the official one)"
    return prefix + ("ImageNet" if kind == "imagenet" else file)
