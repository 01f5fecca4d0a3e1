"""What determines the numbers of a run, as its records keep it."""

from pathlib import Path
from typing import Any

from pipeline.config import schema, start
from pipeline.config.run_settings import run_settings
from pipeline.config.runs import Run
from pipeline.dataset import splits
from pipeline.dataset.fingerprints import Outputs, fingerprints
from pipeline.storage.store import Store


def made_with(
    run: Run,
    training: schema.Training,
    architecture: schema.Architecture | None,
    images: Store,
    embeddings: Store,
    split: Path,
    outputs: Outputs,
) -> dict[str, Any]:
    """Return everything that determines the numbers of a run, except the number of epochs.

    Args:
        architecture: None for a predictor that needs no training.
        split: splits.csv.
        outputs: the stores of the outputs that the run reads.
    """
    settings = run_settings(
        run,
        start.with_digest(training),
        architecture,
        dataset=images.path.parent.name,
        limit=images.manifest().get("limit"),
        images=images.manifest()["settings"],
        embeddings=embeddings.manifest()["settings"],
        split=splits.read_manifest(split)["settings"],
    )
    return {**settings, "fingerprints": fingerprints(images, embeddings, split, outputs)}
