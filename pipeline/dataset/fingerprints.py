"""Which bytes images, embeddings and split are, and whether they belong together."""

from pathlib import Path

from pipeline.core.errors import InputError
from pipeline.dataset import splits
from pipeline.storage.store import Store


def check_stores(images: "Store", embeddings: "Store") -> None:
    """Refuse embeddings of other images.

    Raises:
        InputError: names both.
    """
    made_from = embeddings.manifest().get("images")
    if made_from != images.manifest()["fingerprint"]:
        raise InputError(
            f"{embeddings.path} was made from images with fingerprint {made_from}, {images.path} has "
            f"{images.manifest()['fingerprint']}; run embed again"
        )


def fingerprints(images: Store, embeddings: Store, split: Path) -> dict[str, str]:
    """The bytes that a run is trained on."""
    return {
        "images": images.manifest()["fingerprint"],
        "embeddings": embeddings.manifest()["fingerprint"],
        "split": splits.fingerprint(split),
    }
