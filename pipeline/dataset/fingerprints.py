"""Fingerprints of the data that a run is trained on, and whether they belong together."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.core.conflicts import differing
from pipeline.core.errors import InputError
from pipeline.core.text import brief
from pipeline.dataset import index, splits
from pipeline.storage.layouts import VECTOR
from pipeline.storage.store import Store

Outputs = Mapping[str, Store]  # outputs of the embedding network by name, each with the store that has it


def outputs_of(stored: Iterable[str], images: Store, embeddings: Store, features: Store | None = None) -> Outputs:
    """Return the store of each output of the embedding network: `embeddings` for the vector, `features` for maps.

    Args:
        stored: names of the outputs that a network reads.
        images: the store that the others must have been made from.
        embeddings: checked even if no output is read from it, because every run records it.
        features: needed only for maps.

    Raises:
        InputError: a map is missing, or the stores come from other images or from different networks.
    """
    _check_images(images, embeddings, "embed")
    outputs = {}
    for name in stored:
        if name == VECTOR:
            outputs[name] = embeddings
        elif features is None:
            raise ValueError(f"expected a store of feature maps with {name}, received none")
        else:
            outputs[name] = features
    if maps := [name for name in outputs if name != VECTOR]:
        _check_maps(maps, images, embeddings, outputs[maps[0]])
    return outputs


def _check_maps(maps: list[str], images: Store, embeddings: Store, features: Store) -> None:
    _check_images(images, features, "features")
    made_with = dict(features.manifest()["settings"])
    available = made_with.pop("outputs")
    if missing := [name for name in maps if name not in available]:
        raise InputError(
            f"{features.path}: expected the feature maps {', '.join(maps)}, received {', '.join(available)}; run "
            f"python -m stages features {' '.join(missing)}"
        )
    if different := differing(embeddings.manifest()["settings"], made_with, between="but "):
        raise InputError(
            f"{features.path}: expected maps of the network that made {embeddings.path.name}, received others "
            f"({'; '.join(different)}); run features again with --replace"
        )


def _check_images(images: Store, store: Store, stage: str) -> None:
    made_from, present = store.manifest().get("images"), images.manifest()["fingerprint"]
    if made_from != present:
        raise InputError(
            f"{store.path} was made from images with fingerprint {brief(made_from)}, but {images.path} has "
            f"{brief(present)}; "
            f"run {stage} again"
        )


def fingerprints(images: Store, embeddings: Store, split: Path, outputs: Outputs) -> dict[str, str]:
    """Return the fingerprints of the data that a run is trained on; `outputs` are those that its network reads."""
    maps = {name: store.manifest()["maps"][name] for name, store in outputs.items() if name != VECTOR}
    return {
        "images": images.manifest()["fingerprint"],
        "embeddings": embeddings.manifest()["fingerprint"],
        "split": splits.fingerprint(split),
        **{f"features.{name}": fingerprint for name, fingerprint in maps.items()},
    }


def other_data(images: Store, old: Mapping[str, str], new: Mapping[str, str], between: str = "now ") -> list[str]:
    """Return what differs between the data of a run: how the images have changed, or fingerprints.

    Args:
        images: the store whose fingerprint is in `new`.
        old, new: fingerprints as from `fingerprints`; one that only `old` has is not compared.
        between: as for `differing`.
    """
    if "images" in old and "images" in new and (changed := index.changes(images, old["images"])):
        return [f"the images have changed: {changed}"]
    return differing(old, {**old, **new}, "data.", between)
