"""Evaluation of a trained run: its scores on every partition, its figures, and all that ``results/<run>/`` holds."""

import math
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from skimage.color import rgb2lab

from pipeline.config import paper, schema
from pipeline.config.paths import ResultFiles, RunFiles
from pipeline.config.runs import Run
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.core.progress import Progress
from pipeline.dataset import splits, statistics
from pipeline.dataset.fingerprints import check_stores, fingerprints
from pipeline.dataset.index import read_index
from pipeline.embedding import recipe
from pipeline.evaluation import frechet, metrics, paired, per_image, predictors, scores
from pipeline.evaluation.baselines import Baselines, read_baselines
from pipeline.evaluation.measures import Columns
from pipeline.evaluation.network import Network, stored
from pipeline.evaluation.predictors import Ab, Batch
from pipeline.evaluation.recognition import Recognition
from pipeline.evaluation.scoring import Dataset, score
from pipeline.figures import colours as colour_figures
from pipeline.figures import learning, pictures
from pipeline.images import jpeg, lab
from pipeline.networks import builder, saving
from pipeline.results import model_card
from pipeline.results.record import refuse_other
from pipeline.results.summary import write_summary
from pipeline.storage.store import Store


def evaluate(
    run: Run,
    images: Store,
    embeddings: Store,
    split: Path,
    baselines_file: Path,
    directory: Path,
    target: Path,
    evaluation: schema.Evaluation,
    *,
    resolved: Mapping[str, Any],
    replace: bool = False,
    threads: int = 2,
    embedding: schema.Embedding = schema.Embedding(),
    more_architectures: Mapping[str, schema.Architecture] | None = None,
    progress: Progress | None = None,
) -> None:
    """Score a trained run on every partition, and draw its figures.

    Nothing of what `target` held before is changed until all of it is made again; then it is replaced in one step.

    Args:
        directory: ``models/<run>/``.
        target: ``results/<run>/``, see `ResultFiles`; the summary of all runs, beside it, is renewed.
        resolved: the whole configuration, for the record.
        replace: whether results made with other settings may be replaced.
        threads: number of images that are measured at the same time.

    Raises:
        InputError: the run was trained on other data, its files are damaged, or there are results with other settings.
    """
    where = RunFiles(directory)
    trained = files.read_json(where.summary)
    if not replace:
        refuse_other(target, trained["settings"], evaluation.model_dump(), trained["epochs"])
    table = splits.read(split, images.manifest()["fingerprint"])
    check_stores(images, embeddings)
    _check_run(trained, where, images, embeddings, split)
    baselines = read_baselines(baselines_file, images, split, evaluation.seed, embedding)
    model = builder.build(run.architecture, l2=float(run.l2), embedding=run.embedding, architectures=more_architectures)
    weights = where.weights(evaluation.weights)
    model.load_weights(weights)
    data = Dataset(images, table, baselines.rarity, embeddings, stored(model))
    network = Network(model, data, evaluation.seed)
    recognised = Recognition.of(embedding, data.partitions, baselines.true)
    label = recipe.label(trained["settings"]["embeddings"]) if run.embedding else "no embedding"
    note = f"embedding weights: {label}" + ("" if trained["status"] == "finished" else f"; {trained['status']}")
    colours = {name: statistics.no_colours() for name in ("predicted", "true")}

    with files.new_folder(target) as out:
        new = ResultFiles(out)
        new.pictures.mkdir()
        found = score(
            data,
            network,
            f"evaluate {run.name}",
            batch_size=evaluation.batch_size,
            threads=threads,
            recognition=recognised,
            each=partial(_show, data, new.pictures, colours),
            progress=progress,
        )
        for columns in found.values():
            columns["loss"] = columns["mse"] + network.penalty
        settings = (
            f"embedding weights: {label}; {evaluation.weights} weights of {trained['epochs']} epochs; "
            f"{trained['status']}"
        )
        rows, against = _tables(run.name, data, found, baselines, recognised, evaluation.seed, settings)
        files.write_csv(new.metrics, scores.COLUMNS, rows)
        files.write_csv(new.differences, paired.COLUMNS, against)
        per_image.write(new.per_image, run.name, data.name, table, found)
        shutil.copyfile(where.history, new.history)
        _draw_pictures(run, network, data, found[scores.MODEL], evaluation.pictures, new, note)
        title = f"{run.name}: colours of the test images"
        colour_figures.chroma(new.figure("chroma"), colours["predicted"], colours["true"], title, note)
        _draw_curves(run, where, rows, trained["status"], new, note)
        saving.save(model, new.model)
        record = {
            "run": run.name,
            "dataset": data.name,
            "status": trained["status"],
            "findings": paired.findings(trained["status"], rows, against, _only(colours["predicted"])),
            "epochs": trained["epochs"],
            "best_epoch": trained["best_epoch"],
            "weights_evaluated": evaluation.weights,
            "weights_sha256": files.digest_file(weights),
            "embedding": embeddings.manifest()["settings"] if run.embedding else {"weights": "none"},
            "embedding_weights": embeddings.manifest().get("weights") if run.embedding else None,
            "seeds": {
                "training": run.seed,
                "split": splits.read_manifest(split)["settings"]["seed"],
                "evaluation": evaluation.seed,
            },
            "fingerprints": trained["settings"]["fingerprints"],
            "mean_ab": trained["mean_ab"],
            "versions": trained["versions"],
            "backend": trained["backend"],
            "settings": trained["settings"],
            "configuration": dict(resolved),
        }
        files.write_text(new.record, yaml.safe_dump(record, sort_keys=False, allow_unicode=True, width=1000))
        model_card.write(out, run.name, new.card)
        files.write_listing(out)
    if (where.evaluation / files.LISTING).exists():
        files.remove(where.evaluation)
    write_summary(target.parent)


def _show(
    data: Dataset,
    folder: Path,
    colours: Mapping[str, statistics.Counts],
    batch: Batch,
    answers: Mapping[str, Ab],
    pool: Executor,
) -> None:
    """Write the pictures of a batch's test images, and count true and predicted colours."""

    def write(place: int) -> None:
        path = folder / jpeg.name(int(batch.rows[place]))
        jpeg.write_jpeg(path, lab.to_rgb(batch.truth.lightness[place], answers[scores.MODEL][place]))

    test = data.places(batch, "test")
    finite = [place for place in test if np.isfinite(answers[scores.MODEL][place]).all()]
    writing = pool.map(write, finite)
    statistics.add_colours(colours["true"], batch.truth.ab[test])
    predicted = np.rint(np.asarray(answers[scores.MODEL][finite], np.float32))
    statistics.add_colours(colours["predicted"], np.clip(predicted, 0, 255).astype(np.uint8))
    list(writing)


def _tables(
    run: str,
    data: Dataset,
    found: Mapping[str, Columns],
    baselines: Baselines,
    recognised: Recognition | None,
    seed: int,
    settings: str,
) -> tuple[list[scores.Row], list[paired.Row]]:
    """The rows of metrics.csv and of differences.csv."""
    chosen = scores.samples(data.partitions, data.groups, seed)
    over = scores.summed({**baselines.answers, **found}, chosen)
    if recognised:
        for distances in (frechet.read(baselines.rows), recognised.distances()):
            frechet.put(over, distances, recognised.metric)
    own = {partition: {answer: here[answer] for answer in found} for partition, here in over.items()}
    rows = scores.rows(run, data.name, own, chosen, settings)
    rows += [{**row, "run": run} for row in baselines.rows] + scores.paper_rows(run, data.name)
    return rows, paired.difference_rows(run, data.name, over, chosen)


def _only(counts: statistics.Counts) -> tuple[int, int] | None:
    """The one colour that was counted, if there is but one."""
    found = np.argwhere(counts)
    return (int(found[0][0]), int(found[0][1])) if len(found) == 1 else None


def _check_run(trained: Mapping[str, Any], where: RunFiles, images: Store, embeddings: Store, split: Path) -> None:
    now = fingerprints(images, embeddings, split)
    trained_on = trained["settings"]["fingerprints"]
    if other := [f"{name} {trained_on[name]}, now {now[name]}" for name in now if now[name] != trained_on[name]]:
        raise InputError(
            f"{where.directory} was trained on other data: {'; '.join(other)}; "
            "train it again, or evaluate it on its own data"
        )
    files.refuse_damaged(where.directory, trained["files"])


def spread_over_errors(errors: npt.NDArray[np.float64], rows: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
    """`count` of `rows`, evenly over the quantiles of their errors: the best, the worst and those between."""
    ordered = rows[np.argsort(errors[rows], kind="stable")]
    places = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)
    chosen: npt.NDArray[np.intp] = ordered[places]
    return chosen


def _draw_pictures(
    run: Run, network: Network, data: Dataset, measured: Columns, count: int, new: ResultFiles, note: str
) -> None:
    """Draw predictions.png and errors.png of `count` test images."""
    test = np.flatnonzero(np.array(data.partitions) == "test")
    shown = spread_over_errors(measured["mse"], test, count)
    batch = data.batch(shown)
    lightness, ab = batch.truth.lightness, batch.truth.ab
    predicted = network.own(batch)
    difference = np.full(lightness.shape, np.nan)
    finite = np.isfinite(predicted).all(axis=(1, 2, 3))
    seen = (rgb2lab(lab.to_rgb(lightness[finite], values[finite])) for values in (predicted, ab))
    difference[finite] = metrics.ciede2000_map(*seen)
    index = read_index(data.images)
    captions = [
        f"{index[row]['id']}, ΔE2000 {measured['ciede2000'][row]:.1f}, PSNR {measured['psnr'][row]:.1f} dB"
        for row in shown
    ]
    title = f"{run.name}: test images, evenly from the smallest RMSE to the largest"
    pictures.predictions(new.figure("predictions"), lightness, predicted, ab, captions, title, note)
    pictures.errors(new.figure("errors"), lightness, predicted, ab, difference, captions, title, note)


def _draw_curves(run: Run, where: RunFiles, rows: Sequence[scores.Row], status: str, new: ResultFiles, note: str) -> None:
    columns = ("epoch", "loss", "mse", "accuracy", "val_loss", "val_mse", "val_accuracy")
    history = [{name: float(row[name]) for name in columns} for row in files.read_csv(where.history, columns)]
    wanted = predictors.MAJORITY, "validation"
    majority = next((float(r["value"]) for r in rows if (r["answer"], r["partition"]) == wanted), math.nan)
    learning.curves(
        new.figure("curves"),
        history,
        run.name,
        majority,
        paper.RUNS.get(run.name),
        note,
        ended="" if status == "finished" else status,
    )
