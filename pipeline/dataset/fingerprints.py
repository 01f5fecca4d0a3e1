"""Fingerprints of images, embeddings and split, and whether they belong together."""

from pathlib import Path

from pipeline.core.errors import InputError
from pipeline.dataset import splits
from pipeline.storage.store import Store


def check_stores(images: Store, embeddings: Store) -> None:
    """Raise an InputError if the embeddings were made from other images."""
    made_from, present = embeddings.manifest().get("images"), images.manifest()["fingerprint"]
    if made_from != present:
        raise InputError(
            f"{embeddings.path} was made from images with fingerprint {made_from}, but {images.path} has {present}; "
            "run embed again"
        )


def fingerprints(images: Store, embeddings: Store, split: Path) -> dict[str, str]:
    """Return the fingerprints of the data that a run is trained on."""
    return {
        "images": images.manifest()["fingerprint"],
        "embeddings": embeddings.manifest()["fingerprint"],
        "split": splits.fingerprint(split),
    }
