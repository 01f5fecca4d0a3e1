"""Evaluation of a trained run: its scores on every partition, and its figures."""

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import yaml
from skimage.color import rgb2lab

from pipeline.config import paper, schema
from pipeline.core import files
from pipeline.dataset import splits
from pipeline.embedding import recipe
from pipeline.evaluation import metrics, paired, per_image, recognition, scores
from pipeline.figures import colours, learning, pictures
from pipeline.images import jpeg, lab
from pipeline.networks import builder, notation, saving
from pipeline.results.record import refuse_other
from pipeline.core.errors import InputError
from pipeline.dataset.index import read_index
from pipeline.config.paths import RunFiles
from pipeline.core.progress import Progress, Silent
from pipeline.evaluation.baselines import Batch, batches, partners, read_references
from pipeline.config.runs import Run
from pipeline.storage.store import Store
from pipeline.dataset.fingerprints import check_stores, fingerprints


def evaluate(
    run: Run,
    images: Store,
    embeddings: Store,
    split: Path,
    references_file: Path,
    directory: Path,
    evaluation: schema.Evaluation,
    *,
    resolved: Mapping[str, Any],
    replace: bool = False,
    threads: int = 2,
    embedding: schema.Embedding | None = None,
    more_architectures: Mapping[str, schema.Architecture] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Score a trained run on every partition and draw its figures.

    Args:
        directory: ``models/<run>/``; scores and figures go to its folder `evaluation`.
        resolved: the whole configuration, for the record.
        replace: whether an evaluation made with other settings may be replaced.
        threads: so many images are measured side by side.

    Returns:
        The folder with `EVALUATED`; the listing of its files comes last.

    Raises:
        InputError: the run was trained on other data, its files are not whole, or there is an evaluation with other
            settings.
    """
    where = RunFiles(directory)
    out = directory / "evaluation"
    summary = files.read_json(where.summary)
    if not replace:
        refuse_other(out, summary["settings"], evaluation.model_dump(), summary["epochs"])
    table = splits.read(split, images.manifest()["fingerprint"])
    check_stores(images, embeddings)
    _check_run(summary, where, images, embeddings, split)
    references = read_references(references_file, images, split, evaluation.seed, embedding)
    model = builder.build(
        run.architecture, l2=float(run.l2), embedding=run.embedding, architectures=more_architectures
    )
    weights = where.weights(evaluation.weights)
    model.load_weights(weights)
    dataset = images.path.parent.name
    label = recipe.label(summary["settings"]["embeddings"]) if run.embedding else "no embedding"
    note = f"embedding weights: {label}" + ("" if summary["status"] == "finished" else f"; {summary['status']}")
    (out / files.LISTING).unlink(missing_ok=True)

    found = scores.Scores(len(table))
    chroma = {name: np.zeros((256, 256), np.int64) for name in ("predicted", "true")}
    answers = _answers(model, embeddings, table, evaluation.seed)
    partitions = [row["partition"] for row in table]
    network = recognition.load_network(embedding) if embedding else None
    recognised = recognition.Recognition(network, partitions, references.true) if network else None
    with (
        (progress or Silent()).track(f"evaluate {run.name}, images", images.rows()) as advance,
        files.new_folder(out / "pictures") as folder,
        ThreadPoolExecutor(threads) as pool,  # ends before the folder may be removed
    ):
        for batch in batches(images, embeddings, partitions, references.rarity, evaluation.batch_size):
            predicted = answers(batch)
            found.measure(pool, batch.start, batch.truth, predicted)
            if recognised:
                for name, ab in predicted.items():
                    found.put(name, batch.start, recognised.measure(name, batch.start, batch.truth.lightness, ab))
            writing = []
            for place, ab in enumerate(predicted[scores.MODEL]):
                if partitions[batch.start + place] == "test":
                    _count(chroma["true"], batch.truth.ab[place])
                    if np.isfinite(ab).all():
                        _count(chroma["predicted"], ab)
                        path = folder / jpeg.name(batch.start + place)
                        writing.append(pool.submit(_write_picture, path, batch.truth.lightness[place], ab))
            for written in writing:
                written.result()
            advance(len(batch.truth.ab))
    penalty = float(sum(map(float, model.losses)))
    for columns in found.answers.values():
        columns["loss"] = columns["mse"] + penalty
    chosen = scores.samples(partitions, [row["group"] for row in table], evaluation.seed)
    over = scores.summed({**found.answers, **references.answers}, chosen)
    if recognised:
        for distances in (recognised.distances(), recognition.read_distances(references.rows)):
            recognition.put_distances(over, distances)
    told = (
        f"embedding weights: {label}; {evaluation.weights} weights of {summary['epochs']} epochs; {summary['status']}"
    )
    own = {partition: {answer: here[answer] for answer in found.answers} for partition, here in over.items()}
    rows = scores.rows(run.name, dataset, own, chosen, told)
    rows += [{**row, "run": run.name} for row in references.rows] + scores.paper_rows(run.name, dataset)
    against = paired.difference_rows(run.name, dataset, over, chosen)

    files.write_csv(out / "metrics.csv", scores.COLUMNS, rows)
    files.write_csv(out / "differences.csv", paired.COLUMNS, against)
    per_image.write(out / "per_image.csv", run.name, dataset, table, found.answers)
    test = np.flatnonzero(np.array(partitions) == "test")
    shown = spread_over_errors(found.answers[scores.MODEL]["mse"], test, evaluation.pictures)
    _draw_pictures(model, run, images, embeddings, found.answers[scores.MODEL], shown, out, note)
    colours.chroma(
        out / "chroma.png", chroma["predicted"], chroma["true"], f"{run.name}: colours of the test images", note
    )
    _draw_curves(run, where, rows, summary["status"], out, note)
    saving.save(model, out / "model.keras")
    record = {
        "run": run.name,
        "dataset": dataset,
        "status": summary["status"],
        "findings": paired.findings(summary["status"], rows, against, _only(chroma["predicted"])),
        "epochs": summary["epochs"],
        "best_epoch": summary["best_epoch"],
        "weights_evaluated": evaluation.weights,
        "weights_sha256": files.digest_file(weights),
        "embedding": embeddings.manifest()["settings"] if run.embedding else {"weights": "none"},
        "embedding_weights": embeddings.manifest().get("weights") if run.embedding else None,
        "seeds": {
            "training": run.seed,
            "split": splits.read_manifest(split)["settings"]["seed"],
            "evaluation": evaluation.seed,
        },
        "fingerprints": summary["settings"]["fingerprints"],
        "mean_ab": summary["mean_ab"],
        "versions": summary["versions"],
        "backend": summary["backend"],
        "settings": summary["settings"],
        "configuration": dict(resolved),
    }
    files.write_text(out / "run.yaml", yaml.safe_dump(record, sort_keys=False, allow_unicode=True, width=1000))
    files.write_listing(out)
    return out


def _write_picture(path: Path, lightness: lab.UInt8, ab: npt.NDArray[np.float32]) -> None:
    jpeg.write_jpeg(path, lab.to_rgb(lightness, ab))


Predictions = dict[str, npt.NDArray[np.float32]]


def _answers(
    model: keras.Model, embeddings: Store, table: Sequence[Mapping[str, str]], seed: int
) -> Callable[[Batch], Predictions]:
    """The network's answers to a batch: its own, and, where it has an embedding, with a wrong one."""
    if len(model.inputs) == 1:
        return lambda batch: {scores.MODEL: predict(model, batch.truth.lightness, None)}
    encoder, decoder = builder.halves(model)
    other = partners([row["group"] for row in table], seed)
    train = np.array([row["partition"] == "train" for row in table])
    total = np.zeros(notation.EMBEDDING_SIZE)
    for start, stop, values in embeddings.read_spans("embedding"):
        total += values[train[start:stop]].sum(axis=0, dtype=np.float64)
    mean = (total / train.sum()).astype(np.float32)

    def answer(batch: Batch) -> Predictions:
        encoded = encoder.predict_on_batch(batch.truth.lightness[..., None])
        shuffled = embeddings.read_rows("embedding", other[batch.start : batch.start + len(encoded)])
        given = {
            scores.MODEL: batch.embedding,
            scores.EMBEDDING_SHUFFLED: shuffled,
            scores.EMBEDDING_MEAN: np.broadcast_to(mean, shuffled.shape),
        }
        return {
            name: np.asarray(decoder.predict_on_batch([encoded, embedding]), np.float32)
            for name, embedding in given.items()
        }

    return answer


def _only(counts: npt.NDArray[np.int64]) -> tuple[int, int] | None:
    found = np.argwhere(counts)
    return (int(found[0][0]), int(found[0][1])) if len(found) == 1 else None


def _count(counts: npt.NDArray[np.int64], ab: npt.NDArray[np.generic]) -> None:
    a, b = np.clip(np.rint(np.asarray(ab, np.float32)), 0, 255).astype(np.intp).reshape(-1, 2).T
    counts += np.bincount(256 * a + b, minlength=counts.size).reshape(counts.shape)


def predict(model: keras.Model, lightness: lab.UInt8, embedding: Any) -> npt.NDArray[np.float32]:
    """Predicted ab (n, H, W, 2) float32, 8-bit units, of L (n, H, W) uint8 and embeddings (n, 1000)."""
    return np.asarray(model.predict_on_batch(builder.inputs(model, lightness, embedding)), np.float32)


def _check_run(summary: Mapping[str, Any], where: RunFiles, images: Store, embeddings: Store, split: Path) -> None:
    now = fingerprints(images, embeddings, split)
    trained_on = summary["settings"]["fingerprints"]
    if other := [f"{name} {trained_on[name]}, now {now[name]}" for name in now if now[name] != trained_on[name]]:
        raise InputError(
            f"{where.directory} was trained on other data: {'; '.join(other)}; "
            "train it again, or evaluate it on its own data"
        )
    files.refuse_damaged(where.directory, summary["files"])


def spread_over_errors(errors: npt.NDArray[np.float64], rows: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
    """`count` of `rows`, evenly over the quantiles of their errors: the best, the worst and those between."""
    ordered = rows[np.argsort(errors[rows], kind="stable")]
    places = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)
    chosen: npt.NDArray[np.intp] = ordered[places]
    return chosen


def _draw_pictures(
    model: keras.Model,
    run: Run,
    images: Store,
    embeddings: Store,
    measured: scores.Columns,
    shown: npt.NDArray[np.intp],
    out: Path,
    note: str,
) -> None:
    """Draw predictions.png and errors.png of the rows `shown`."""
    index = read_index(images)
    lightness, ab = images.read_rows("L", shown), images.read_rows("ab", shown)
    predicted = predict(model, lightness, embeddings.read_rows("embedding", shown))
    difference = np.full(lightness.shape, np.nan)
    finite = np.isfinite(predicted).all(axis=(1, 2, 3))
    seen = (rgb2lab(lab.to_rgb(lightness[finite], values[finite])) for values in (predicted, ab))
    difference[finite] = metrics.ciede2000_map(*seen)
    captions = [
        f"{index[row]['id']}, ΔE2000 {measured['ciede2000'][row]:.1f}, PSNR {measured['psnr'][row]:.1f} dB"
        for row in shown
    ]
    title = f"{run.name}: test images, evenly from the smallest RMSE to the largest"
    pictures.predictions(out / "predictions.png", lightness, predicted, ab, captions, title, note)
    pictures.errors(out / "errors.png", lightness, predicted, ab, difference, captions, title, note)


def _draw_curves(run: Run, where: RunFiles, rows: Sequence[scores.Row], status: str, out: Path, note: str) -> None:
    columns = ("epoch", "loss", "mse", "accuracy", "val_loss", "val_mse", "val_accuracy")
    history = [{name: float(row[name]) for name in columns} for row in files.read_csv(where.history, columns)]
    majority = next(
        (float(row["value"]) for row in rows if row["answer"] == scores.MAJORITY and row["partition"] == "validation"),
        math.nan,
    )
    learning.curves(
        out / "curves.png",
        history,
        run.name,
        majority,
        paper.RUNS.get(run.name),
        note,
        ended="" if status == "finished" else status,
    )
