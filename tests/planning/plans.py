"""Configurations of pretended work, for checks before any work starts."""

from pipeline.config import loading
from pipeline.config.paths import Paths
from pipeline.config.run_settings import run_settings
from pipeline.config.runs import Run
from pipeline.core import csv_files, files
from pipeline.networks import notation
from pipeline.planning.artefacts import stage_settings


def changed(before, **changes):
    return loading.parse_config(loading.merge(before.model_dump(), changes))


def pretend_trained(chosen, name, epochs=3, images=None):
    """Write the files of a trained run that the checks read."""
    made_with = run_settings(
        Run.parse(name),
        chosen.training,
        notation.resolve(Run.parse(name).architecture, chosen.architectures),
        dataset=chosen.dataset,
        limit=chosen.limit,
        images=stage_settings(chosen, "ingest") | {"limit": None},
        embeddings=stage_settings(chosen, "embed"),
        split=stage_settings(chosen, "split"),
    )
    made_with["images"].pop("limit")
    directory = Paths(chosen).model(name)
    files.write_json(
        directory / "settings.json",
        {**made_with, "fingerprints": {"images": images or Paths(chosen).images.manifest()["fingerprint"]}},
    )
    csv_files.write(directory / "history.csv", ("epoch",), [{"epoch": number} for number in range(1, epochs + 1)])
