"""The embedding network that a run was trained with, identified by the digest of its weights."""

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
    """Load the network that computed a run's embeddings; None if the run takes none.

    Random weights are read from the run's dataset, or made again from their seed.

    Args:
        result: ``results/<run>/``.
        record: the content of its run.yaml.
        weights: a file of weights to load instead.
        outputs: which of the network's outputs to compute.

    Raises:
        InputError: the weights are not available, or are not those that the run was trained with.
    """
    made_with = record["embedding"]
    if made_with["weights"] == "none":
        return None
    expected = digest(made_with) or digest(record.get("embedding_weights") or _dataset_weights(result, record))
    if expected is None:
        raise InputError(
            f"{ResultFiles(result).record}: expected the digest of the embedding network's weights, received none; "
            "evaluate the run again"
        )
    kind = made_with["weights"]
    embedding = schema.Embedding(
        network=registry.of_record(made_with).name,
        weights=kind if kind != "file" else record["configuration"]["embedding"]["weights"],
        seed=made_with.get("seed", 0),
        activation=made_with["activation"],
        precision=made_with["precision"],
        batch_size=1,
    )
    saved = None
    if kind != "random":
        if weights is not None:
            embedding = embedding.model_copy(update={"weights": str(weights)})
        _refuse_other(result, expected, digest(recipe.weights(embedding)), embedding.weights)
    elif saved := _saved(result, record, weights):
        _refuse_other(result, expected, files.digest_file(saved), str(saved))
    from pipeline.embedding import network

    if saved:
        model = network.build_network(embedding, saved)
        return network.EmbeddingNetwork(registry.ENTRIES[embedding.network], model, embedding.batch_size, outputs)
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / NETWORK_FILE
        loaded = network.load(embedding, made, outputs)
        if kind == "random":
            _refuse_other(result, expected, files.digest_file(made), f"made again from seed {embedding.seed}")
        return loaded


def digest(facts: Mapping[str, Any]) -> str | None:
    """Return the digest in a record of weights, see `pipeline.embedding.network.weights_facts`."""
    value = facts.get("md5") or facts.get("sha256") or next(iter(facts.get("files", {}).values()), None)
    return str(value) if value else None


def _saved(result: Path, record: Mapping[str, Any], weights: Path | None) -> Path | None:
    """Return the file with the random weights: the given one, or that of the run's dataset."""
    if weights is None:
        paths = [dataset.network for dataset in ResultFiles(result).datasets(record)]
        return next((path for path in paths if path.is_file()), None)
    if not weights.is_file():
        raise InputError(f"--embedding-weights: {weights} is not a file; name {NETWORK_FILE} of the run's dataset")
    return weights


def _refuse_other(result: Path, expected: str, actual: str | None, which: str) -> None:
    if actual != expected:
        raise InputError(
            f"{result} was trained on embeddings of a network whose weights have the digest {expected}; the weights "
            f"here ({which}) have {actual}; name the right file with --embedding-weights"
        )


def _dataset_weights(result: Path, record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the run's dataset records of its embedding network's weights; empty if it has no embeddings.

    Raises:
        InputError: the dataset's embeddings are not those that the run was trained on.
    """
    trained_on = record["fingerprints"]["embeddings"]
    for dataset in ResultFiles(result).datasets(record):
        path = dataset.embeddings.manifest_path
        if not path.exists():
            continue
        manifest = files.read_json(path)
        if manifest["fingerprint"] != trained_on:
            raise InputError(
                f"{result} was trained on embeddings with fingerprint {trained_on}, but those in {dataset.directory} "
                f"have {manifest['fingerprint']}; train the run again, or use the dataset that it was trained on"
            )
        weights: Mapping[str, Any] = manifest.get("weights", {})
        return weights
    return {}
