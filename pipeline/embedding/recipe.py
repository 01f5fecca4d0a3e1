"""What decides an embedding, as JSON values: known without loading a network."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.config import schema
from pipeline.core import files
from pipeline.core.errors import InputError

NETWORK = "InceptionResNetV2"
PREPROCESSING = (
    "L alone through CIE Lab to gray sRGB 0..255, bilinear to 299x299, three equal channels, x / 127.5 - 1 "
    "(Keras' preprocess_input)"
)
COLOUR_PREPROCESSING = "sRGB 0..255, bilinear to 299x299, x / 127.5 - 1 (Keras' preprocess_input)"
OFFICIAL_FILE = "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels.h5"
OFFICIAL_MD5 = "e693bd0210a403b3192acc6073ad2e96"  # as in Keras' own source
CALIBRATION_IMAGES = 16
RANDOM_RECIPE = (
    f"1: Glorot uniform kernels from numpy's default_rng(seed), batch-norm statistics of {CALIBRATION_IMAGES} "
    "sample photographs"
)


def weights(embedding: schema.Embedding) -> dict[str, Any]:
    """The identity of the embedding network's weights.

    Returns:
        ``weights`` is "imagenet" for the official file, wherever it lies, "file" for another one, "random" for a
        seeded network that never saw a photograph's label.

    Raises:
        InputError: a weights file is asked for that does not exist.
    """
    if embedding.weights == "random":
        return {"weights": "random", "seed": embedding.seed, "recipe": RANDOM_RECIPE}
    if embedding.weights == "imagenet":
        return {"weights": "imagenet", "md5": OFFICIAL_MD5}
    path = Path(embedding.weights).expanduser()
    if path.suffix not in (".h5", ".hdf5"):
        raise InputError(
            f"embedding.weights: expected random, imagenet or the path of an .h5 file, received {embedding.weights!r}"
        )
    if not path.is_file():
        raise InputError(
            f"embedding.weights: {path} is not a file; put {OFFICIAL_FILE} there, or set it to random or imagenet"
        )
    md5 = _md5(path, path.stat().st_mtime_ns)
    return {"weights": "imagenet" if md5 == OFFICIAL_MD5 else "file", "md5": md5}


@lru_cache
def _md5(path: Path, changed: int) -> str:
    return files.digest_file(path, "md5")


def settings(embedding: schema.Embedding, images_per_shard: int) -> dict[str, Any]:
    """What decides the bytes of a store of embeddings besides the images' own and the number of threads."""
    return {
        "network": NETWORK,
        **weights(embedding),
        "activation": embedding.activation,
        "precision": embedding.precision,
        "batch_size": embedding.batch_size,
        "images_per_shard": images_per_shard,
        "preprocessing": PREPROCESSING,
    }


def recognition(embedding: schema.Embedding) -> dict[str, Any] | None:
    """What decides the features and logits of coloured pictures; None without ImageNet weights.

    Raises:
        InputError: a weights file is asked for that does not exist.
    """
    kind = weights(embedding)
    if kind["weights"] != "imagenet":
        return None
    return {
        "network": NETWORK,
        **kind,
        "precision": "float32",
        "batch_size": embedding.batch_size,
        "preprocessing": COLOUR_PREPROCESSING,
    }


def references(seed: int, embedding: schema.Embedding | None) -> dict[str, Any]:
    """What decides the scores of the answers that need no network, besides images and split."""
    return {"seed": seed, "recognition": recognition(embedding) if embedding else None}


def label(made_with: dict[str, Any]) -> str:
    """The weights in a few words, for logs, tables and figures."""
    kind = made_with.get("weights")
    if kind == "random":
        return f"RANDOM (seed {made_with.get('seed')}; not ImageNet features)"
    return "ImageNet" if kind == "imagenet" else f"a file with MD5 {made_with.get('md5')} (not the official one)"
