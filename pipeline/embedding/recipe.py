"""The settings that determine an embedding, as JSON values, known without loading a network."""

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.config import schema
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.embedding import registry
from pipeline.storage.layouts import VECTOR

UNNAMED_NETWORK = "inception_resnet_v2"
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
        # The same seed gives different weights for each network; records of the paper's network do not name it.
        named = {} if embedding.network == UNNAMED_NETWORK else {"network": entry.record}
        return {"weights": "random", "seed": embedding.seed, "recipe": RANDOM_RECIPE, **named}
    algorithm, official = entry.weights_digest or ("md5", None)
    if embedding.weights == "imagenet":
        if not official:
            raise InputError(
                f"embedding.weights: {entry.label} has no official weights with a known digest; set random or the path "
                "of an .h5 file"
            )
        return {"weights": "imagenet", algorithm: official}
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
    digest = _digest(path, algorithm, path.stat().st_mtime_ns)
    for other in registry.ENTRIES.values():
        if other is not entry and other.weights_digest == (algorithm, digest):
            raise InputError(
                f"embedding.weights: {path} has the weights of {other.label}; set embedding.network to {other.name}"
            )
    return {"weights": "imagenet" if digest == official else "file", algorithm: digest}


@lru_cache
def _digest(path: Path, algorithm: str, changed: int) -> str:
    return files.digest_file(path, algorithm)


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


def maps(embedding: schema.Embedding, asked: Collection[str], made_with: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the feature maps that a store should have: those asked for and those that it has, in the network's order.

    Args:
        embedding: names the network.
        asked: names of maps; none for all maps of the network.
        made_with: the settings of the existing store; empty without one.

    Raises:
        InputError: the network does not have such maps.
    """
    entry = registry.ENTRIES[embedding.network]
    known = [name for name in entry.outputs if name != VECTOR]
    if not known or (asked and not {*asked} <= {*known}):
        expected = f"one of the maps {', '.join(known)}" if known else "a network with feature maps"
        raise InputError(
            f"feature maps of {entry.label}: expected {expected}, received {', '.join(asked) or entry.name}; choose "
            "other maps, or another embedding.network"
        )
    chosen = {*(asked or known), *made_with.get("outputs", ())}
    return tuple(name for name in known if name in chosen)


def recognising(embedding: schema.Embedding, network: str | None) -> schema.Embedding | None:
    """Return the settings of the network that measures recognition, always with official ImageNet weights.

    Args:
        embedding: settings of the embeddings. If they use the same network with its official weights from a file, so
            does recognition.
        network: `evaluation.recognition`; None measures no recognition.

    Raises:
        InputError: the network is unknown, or cannot measure recognition.
    """
    if network is None:
        return None
    if not registry.ENTRIES[network].features:
        able = ", ".join(entry.name for entry in registry.ENTRIES.values() if entry.features)
        raise InputError(f"evaluation.recognition: expected one of {able}, received {network!r}")
    same = (
        embedding.network == network and embedding.weights != "random" and weights(embedding)["weights"] == "imagenet"
    )
    source = embedding.weights if same else "imagenet"
    return schema.Embedding(network=network, weights=source, batch_size=embedding.batch_size)


def recognition(chosen: schema.Embedding | None) -> dict[str, Any] | None:
    """Return what determines the features and logits that the network of `recognising` computes of pictures."""
    if chosen is None:
        return None
    entry = registry.ENTRIES[chosen.network]
    return {
        "network": entry.record,
        **weights(chosen),
        "precision": "float32",
        "batch_size": chosen.batch_size,
        "preprocessing": f"sRGB 0..255, bilinear to {entry.side}x{entry.side}, {entry.preprocessing}",
    }


def label(made_with: dict[str, Any]) -> str:
    """Describe the network and its weights in a few words, for logs, tables and figures."""
    name = str(made_with.get("network", registry.ENTRIES[UNNAMED_NETWORK].record))
    entry, kind = registry.find(name), made_with.get("weights")
    if kind == "random":
        weights_label = f"RANDOM (seed {made_with.get('seed')}; not ImageNet features)"
    elif kind == "imagenet":
        weights_label = "ImageNet"
    else:
        algorithm = "sha256" if "sha256" in made_with else "md5"
        weights_label = f"a file with {algorithm.upper()} {made_with.get(algorithm)}, not the official one"
    return f"{entry.label if entry else name}, {weights_label}"
