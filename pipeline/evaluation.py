"""Evaluation of a trained run: its scores on every partition, and its figures."""

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import yaml

from pipeline import architectures, config, feed, figures, files, lab, metrics, models, paper, recipes, scores, splits
from pipeline.errors import InputError
from pipeline.progress import Progress, Silent
from pipeline.references import batches, read_references
from pipeline.runs import Run
from pipeline.stores import Store
from pipeline.training import RunFiles, fingerprints

log = logging.getLogger("deepcolor")


def evaluate(
    run: Run,
    images: Store,
    embeddings: Store,
    split: Path,
    references: Path,
    directory: Path,
    evaluation: config.Evaluation,
    *,
    resolved: Mapping[str, Any],
    more_architectures: Mapping[str, config.Architecture] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Score a trained run on every partition and draw its figures.

    Args:
        directory: ``models/<run>/``; scores and figures go to its folder `evaluation`.
        resolved: the whole configuration, for the record.

    Returns:
        The folder with metrics.csv, curves.png, predictions.png, model.keras and, last, run.yaml.

    Raises:
        InputError: the run was trained on other data, or its files are not whole.
    """
    where = RunFiles(directory)
    summary = files.read_json(where.summary)
    partitions = splits.read(split, images.manifest()["fingerprint"])
    feed.check_stores(images, embeddings)
    _check_run(summary, where, images, embeddings, split)
    reference_rows = read_references(references, images, split)
    model = architectures.build(run.architecture, l2=float(run.l2), architectures=more_architectures)
    weights = where.weights(evaluation.weights)
    model.load_weights(weights)

    dataset = images.path.parent.name
    gathered = scores.Scores()
    errors = np.full(images.rows(), np.nan)
    with (progress or Silent()).track(f"evaluate {run.name}, images", images.rows()) as advance:
        for batch in batches(images, embeddings, partitions, evaluation.batch_size):
            predicted = predict(model, batch.truth.lightness, batch.embedding)
            gathered.add(batch.truth, predicted)
            errors[batch.start : batch.start + len(predicted)] = metrics.squared_error(predicted, batch.truth.ab)
            advance(len(predicted))
    penalty = float(sum(map(float, model.losses)))
    rows = gathered.rows(run.name, dataset, scores.MODEL)
    losses = {row["partition"]: {"loss": row["value"] + penalty} for row in rows if row["metric"] == "mse"}
    label = recipes.label(summary["settings"]["embeddings"])
    told = (
        f"embedding weights: {label}; {evaluation.weights} weights of {summary['epochs']} epochs; {summary['status']}"
    )
    rows = gathered.rows(run.name, dataset, scores.MODEL, losses, told)
    rows += [{**row, "run": run.name} for row in reference_rows] + scores.paper_rows(run.name, dataset)

    out = directory / "evaluation"
    (out / "run.yaml").unlink(missing_ok=True)
    note = f"embedding weights: {label}"
    if summary["status"] != "finished":
        note += f"; {summary['status']}"
    _draw_predictions(model, run, images, embeddings, partitions, errors, evaluation, out, note)
    _draw_curves(run, where, rows, out, note)
    files.write_csv(out / "metrics.csv", scores.COLUMNS, rows)
    models.save(model, out / "model.keras")
    record = {
        "run": run.name,
        "dataset": dataset,
        "status": summary["status"],
        "epochs": summary["epochs"],
        "best_epoch": summary["best_epoch"],
        "weights_evaluated": evaluation.weights,
        "weights_sha256": files.digest_file(weights),
        "embedding": embeddings.manifest()["settings"],
        "seeds": {"training": run.seed, "split": splits.read_manifest(split)["settings"]["seed"]},
        "fingerprints": summary["settings"]["fingerprints"],
        "mean_ab": summary["mean_ab"],
        "versions": summary["versions"],
        "backend": summary["backend"],
        "settings": summary["settings"],
        "configuration": dict(resolved),
    }
    files.write_text(out / "run.yaml", yaml.safe_dump(record, sort_keys=False, allow_unicode=True))
    return out


def predict(model: keras.Model, lightness: lab.UInt8, embedding: Any) -> npt.NDArray[np.float32]:
    """Predicted ab (n, H, W, 2) float32, 8-bit units, of L (n, H, W) uint8 and embeddings (n, 1000)."""
    return np.asarray(model.predict_on_batch([lightness[..., None], embedding]), np.float32)


def _check_run(summary: Mapping[str, Any], where: RunFiles, images: Store, embeddings: Store, split: Path) -> None:
    now = fingerprints(images, embeddings, split)
    trained_on = summary["settings"]["fingerprints"]
    if other := [f"{name} {trained_on[name]}, now {now[name]}" for name in now if now[name] != trained_on[name]]:
        raise InputError(
            f"{where.directory} was trained on other data: {'; '.join(other)}; "
            "train it again, or evaluate it on its own data"
        )
    for name, digest in summary["files"].items():
        path = where.directory / name
        if not path.exists() or files.digest_file(path) != digest:
            raise InputError(
                f"{path} is not the file that {where.summary} tells; run train again, it goes on from its checkpoint"
            )


def spread_over_errors(errors: npt.NDArray[np.float64], rows: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
    """`count` of `rows`, evenly over the quantiles of their errors: the best, the worst and those between."""
    ordered = rows[np.argsort(errors[rows], kind="stable")]
    places = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)
    chosen: npt.NDArray[np.intp] = ordered[places]
    return chosen


def _draw_predictions(
    model: keras.Model,
    run: Run,
    images: Store,
    embeddings: Store,
    partitions: Sequence[str],
    errors: npt.NDArray[np.float64],
    evaluation: config.Evaluation,
    out: Path,
    note: str,
) -> None:
    chosen = spread_over_errors(errors, np.flatnonzero(np.array(partitions) == "test"), evaluation.pictures)
    rows = files.read_csv(images.path.with_name("index.csv"), ("id",))
    truths, predictions, captions = [], [], []
    for row in chosen.tolist():
        truth = scores.Truth(["test"], images.read("L", row, row + 1), images.read("ab", row, row + 1))
        predicted = predict(model, truth.lightness, embeddings.read("embedding", row, row + 1))
        measured = {score["metric"]: score["value"] for score in _score_one(truth, predicted)}
        captions.append(f"{rows[row]['id']}, ΔE2000 {measured['ciede2000']:.1f}, PSNR {measured['psnr']:.1f} dB")
        truths.append(truth)
        predictions.append(predicted[0])
    figures.predictions(
        out / "predictions.png",
        np.concatenate([truth.lightness for truth in truths]),
        np.stack(predictions),
        np.concatenate([truth.ab for truth in truths]),
        captions,
        f"{run.name}: test images, smallest error first",
        note,
    )


def _score_one(truth: scores.Truth, predicted: npt.NDArray[np.float32]) -> list[scores.Row]:
    one = scores.Scores()
    one.add(truth, predicted)
    return one.rows("", "", "")


def _draw_curves(run: Run, where: RunFiles, rows: Sequence[scores.Row], out: Path, note: str) -> None:
    columns = ("epoch", "loss", "mse", "accuracy", "val_loss", "val_mse", "val_accuracy")
    history = [{name: float(row[name]) for name in columns} for row in files.read_csv(where.history, columns)]
    majority = next(
        (float(row["value"]) for row in rows if row["answer"] == scores.MAJORITY and row["partition"] == "validation"),
        math.nan,
    )
    figures.curves(out / "curves.png", history, run.name, majority, paper.RUNS.get(run.name), note)
