"""The embedding network that a run was trained with, known by the digest of its weights."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import schema
from pipeline.config.paths import DatasetFiles, ResultFiles
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.embedding import recipe, registry
from pipeline.storage.layouts import VECTOR

if TYPE_CHECKING:
    from pipeline.embedding.network import EmbeddingNetwork

NETWORK_FILE = DatasetFiles.network.name


def load(
    result: Path, record: Mapping[str, Any], weights: Path | None = None, outputs: Sequence[str] = (VECTOR,)
) -> "EmbeddingNetwork | None":
    """Load the network that gave a run its embeddings; None for a run without.

    Where its weights are random they are the file in the run's dataset, or made again from their seed.

    Args:
        result: ``results/<run>/``.
        record: its run.yaml.
        weights: a file of weights to take instead.
        outputs: what the network is to compute.

    Raises:
        InputError: the weights cannot be had, or are others than those that the run was trained with.
    """
    made = record["embedding"]
    if made["weights"] == "none":
        return None
    expected = digest(made) or digest(record.get("embedding_weights") or _of_dataset(result, record))
    if expected is None:
        raise InputError(
            f"{ResultFiles(result).record}: expected the digest of the embedding network's weights, received none; "
            "evaluate the run again"
        )
    settings = schema.Embedding(
        network=registry.of_record(made).name,
        weights=made["weights"] if made["weights"] != "file" else record["configuration"]["embedding"]["weights"],
        seed=made.get("seed", 0),
        activation=made["activation"],
        precision=made["precision"],
        batch_size=1,
    )
    if made["weights"] == "random":
        return _random(result, record, settings, weights, expected, outputs)
    if weights is not None:
        settings = settings.model_copy(update={"weights": str(weights)})
    return _trained(result, settings, expected, outputs)


def digest(facts: Mapping[str, Any]) -> str | None:
    """The digest of weights, of what `pipeline.embedding.network.weights_facts` says of them."""
    found = facts.get("md5") or next(iter(facts.get("files", {}).values()), None)
    return str(found) if found else None


def _trained(result: Path, settings: schema.Embedding, expected: str, outputs: Sequence[str]) -> "EmbeddingNetwork":
    _refuse_other(result, expected, digest(recipe.weights(settings)), settings.weights)
    from pipeline.embedding import network

    with tempfile.TemporaryDirectory() as scratch:
        return network.load(settings, Path(scratch) / NETWORK_FILE, outputs)


def _random(
    result: Path,
    record: Mapping[str, Any],
    settings: schema.Embedding,
    weights: Path | None,
    expected: str,
    outputs: Sequence[str],
) -> "EmbeddingNetwork":
    from pipeline.embedding import network

    if weights is not None and not weights.is_file():
        raise InputError(f"--embedding-weights: {weights} is not a file; name {NETWORK_FILE} of the run's dataset")
    places = [dataset.network for dataset in ResultFiles(result).datasets(record)]
    saved = weights or next((place for place in places if place.is_file()), None)
    if saved is not None:
        _refuse_other(result, expected, files.digest_file(saved), str(saved))
        built = network.build_network(settings, saved)
        return network.EmbeddingNetwork(registry.ENTRIES[settings.network], built, settings.batch_size, outputs)
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / NETWORK_FILE
        again = network.load(settings, made, outputs)
        _refuse_other(result, expected, files.digest_file(made), f"made again from seed {settings.seed}")
        return again


def _refuse_other(result: Path, expected: str, found: str | None, what: str) -> None:
    if found != expected:
        raise InputError(
            f"{result} was trained on embeddings of a network whose weights have the digest {expected}; those at hand "
            f"({what}) have {found}; name the right file with --embedding-weights"
        )


def _of_dataset(result: Path, record: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the run's dataset tells of the weights of its embeddings; empty where there is none.

    Raises:
        InputError: the dataset has other embeddings than the run was trained on.
    """
    trained_on = record["fingerprints"]["embeddings"]
    for dataset in ResultFiles(result).datasets(record):
        told = dataset.embeddings.manifest_path
        if not told.exists():
            continue
        manifest = files.read_json(told)
        if manifest["fingerprint"] != trained_on:
            raise InputError(
                f"{result} was trained on embeddings with fingerprint {trained_on}, those in {dataset.directory} have "
                f"{manifest['fingerprint']}; train it again, or colour with the data that it was trained on"
            )
        weights: Mapping[str, Any] = manifest.get("weights", {})
        return weights
    return {}
