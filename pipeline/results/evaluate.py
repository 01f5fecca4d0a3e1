"""Evaluation of a trained run: everything in ``results/<run>/``, from scores to figures."""

import shutil
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from pipeline.config import schema
from pipeline.config.partitions import PARTITIONS
from pipeline.config.paths import ResultFiles, RunFiles
from pipeline.config.runs import Run
from pipeline.core import csv_files, files, parquet_files
from pipeline.core.progress import Progress
from pipeline.core.text import counted
from pipeline.dataset import splits, statistics
from pipeline.embedding import recipe
from pipeline.evaluation import frechet, paired, per_image, scores, untrained
from pipeline.evaluation.baselines import Baselines
from pipeline.evaluation.measures import Columns
from pipeline.evaluation.predictors import Ab, Batch
from pipeline.evaluation.recognition import Recognition
from pipeline.evaluation.scoring import Dataset, Scores, score
from pipeline.images import jpeg, lab
from pipeline.networks import heads, saving
from pipeline.results import costs, model_card, run_figures, run_predictor
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
    features: Store | None = None,
    replace: bool = False,
    threads: int = 2,
    scheduler: str = "threads",
    workers: int = 1,
    recognising: schema.Embedding | None = None,
    more_architectures: Mapping[str, schema.Architecture] | None = None,
    progress: Progress | None = None,
) -> None:
    """Score a trained run, draw its figures and update the summary of all runs.

    `target` is replaced in one step when everything is complete; files in it that its listing does not name are kept.

    Args:
        directory: ``models/<run>/``.
        target: ``results/<run>/``, see `ResultFiles`.
        resolved: the complete configuration, for the record.
        features: the store of feature maps, if the network reads any.
        replace: whether results made with other settings may be replaced.
        threads: number of images measured at a time.
        scheduler, workers: where a predictor that needs no training may run; see `pipeline.core.tasks.run_tasks`.
        recognising: the network that measures recognition, see `pipeline.embedding.recipe.recognising`; None: none.

    Raises:
        InputError: the run was trained on other data, its files are damaged, or results with other settings exist.
    """
    where = RunFiles(directory)
    summary = files.read_json(where.summary)
    if not replace:
        refuse_other(target, summary["settings"], evaluation.model_dump(), summary["epochs"])
    loaded = run_predictor.load(
        run,
        images,
        embeddings,
        split,
        baselines_file,
        directory,
        evaluation,
        features=features,
        scheduler=scheduler,
        workers=workers,
        recognising=recognising,
        more_architectures=more_architectures,
    )
    network, trained, data, baselines = loaded.predict, loaded.trained, loaded.data, loaded.baselines
    table, model = data.table, loaded.model
    recognised = Recognition.of(recognising, data.partitions, baselines.true)
    label = recipe.label(trained["settings"]["embeddings"]) if loaded.outputs else "no embedding"
    status = trained["status"]

    with files.new_folder(target) as out:
        new = ResultFiles(out)
        new.pictures.mkdir()
        colours = {name: statistics.no_colours() for name in ("predicted", "true")}
        more = Scores(len(table))

        def each(batch: Batch, answers: Mapping[str, Ab], pool: Executor) -> None:
            test = data.places(batch, "test")
            more.measure(pool, batch[test], network.reshuffled(batch, test))
            _show(data, new.pictures, colours, batch, answers, pool)

        found = score(
            data,
            network,
            f"evaluate {run.name}",
            batch_size=evaluation.batch_size,
            threads=threads,
            recognition=recognised,
            each=each,
            progress=progress,
        )
        _average_shuffles(found, more, np.flatnonzero(np.array(data.partitions) == "test"))
        how = f"{evaluation.weights} weights of {counted(trained['epochs'], 'epoch')}; {status}"
        if isinstance(network, untrained.Answers):
            how = f"predictor: {network.label}"
        # Other losses are not of ab, or not of every pixel alike.
        elif loaded.architecture and heads.choose(loaded.architecture.head).loss == "mse":
            for answer, columns in found.items():
                columns["loss"] = columns["mse"] + network.penalty(answer)
        settings = f"embedding weights: {label}; {how}"
        rows, against = _tables(run.name, data, found, baselines, recognised, settings)
        findings = paired.findings(status, rows, against, _only(colours["predicted"]))

        csv_files.write(new.metrics, scores.COLUMNS, rows)
        csv_files.write(new.differences, paired.COLUMNS, against)
        per_image.write(new.per_image, run.name, data.name, table, found, data.scored)
        parquet_files.write_beside(new.per_image, per_image.TYPES)
        if model:
            shutil.copyfile(where.history, new.history)
        if where.head.name in trained["files"]:
            shutil.copyfile(where.head, new.head)
        note = f"embedding weights: {label}" + ("" if status == "finished" else f"; {status}")
        measured = found[scores.MODEL]
        run_figures.draw_pictures(run.name, network, data, measured, evaluation.pictures, new, note)
        if isinstance(network, untrained.Answers):  # often too slow to be repeated
            costs.write_seconds(where.predicting, network.images, network.seconds_per_image)
        else:
            first = np.arange(min(costs.TIMED_IMAGES, len(table)))
            costs.measure(network.own, data.batch(first), where.predicting)
        run_figures.draw_colours(run.name, colours, new, note)
        if trained["epochs"] or loaded.diverged:
            run_figures.draw_curves(run.name, where, rows, trained, new, note)
        if model:
            saving.save(model, new.model)
        embedded = embeddings.manifest() if loaded.outputs else {"settings": {"weights": "none"}}
        record = _record(run, trained, data, embedded, split, loaded.weights, findings, evaluation, resolved)
        files.write_text(new.record, yaml.safe_dump(record, sort_keys=False, allow_unicode=True, width=1000))
        model_card.write(out, run.name, new.card)
        files.write_listing(out)
    if (where.evaluation / files.LISTING).exists():
        files.remove(where.evaluation)
    write_summary(target.parent)


def _average_shuffles(found: Mapping[str, Columns], more: Scores, test: npt.NDArray[np.intp]) -> None:
    """Average the test images' measures with another image's embedding over the embeddings of several other images.

    Recognition and the Fréchet distance, which take another network's time, stay those of the first.
    """
    for columns in more.answers.values():
        for name, values in columns.items():
            found[scores.EMBEDDING_SHUFFLED][name][test] += values[test]
    for name in next(iter(more.answers.values()), ()):
        found[scores.EMBEDDING_SHUFFLED][name][test] /= 1 + len(more.answers)


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
    settings: str,
) -> tuple[list[scores.Row], list[paired.Row]]:
    """Return the rows of metrics.csv and of differences.csv."""
    over = scores.summed({**baselines.answers, **found}, data.samples)
    if recognised:
        for distances in (frechet.read(baselines.rows), recognised.distances()):
            here = {partition: values for partition, values in distances.items() if partition in over}
            frechet.put(over, here, recognised.metric)
    own = {partition: {answer: here[answer] for answer in found} for partition, here in over.items()}
    rows = scores.rows(run, data.name, own, data.samples, settings)
    rows += [{**row, "run": run} for row in baselines.rows] + scores.paper_rows(run, data.name)
    return rows, paired.difference_rows(run, data.name, over, data.samples)


def _only(counts: statistics.Counts) -> tuple[int, int] | None:
    """Return the only colour with a count, or None if there are several or none."""
    colours = np.argwhere(counts)
    return (int(colours[0][0]), int(colours[0][1])) if len(colours) == 1 else None


def _record(
    run: Run,
    trained: Mapping[str, Any],
    data: Dataset,
    embedded: Mapping[str, Any],
    split: Path,
    weights: Path,
    findings: list[str],
    evaluation: schema.Evaluation,
    resolved: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the contents of run.yaml."""
    return {
        "run": run.name,
        "dataset": data.name,
        "partitions": {
            name: {"images": len(groups), "groups": len(set(groups))}
            for name in PARTITIONS
            if (groups := [row["group"] for row in data.table if row["partition"] == name])
        },
        "status": trained["status"],
        "findings": findings,
        "epochs": trained["epochs"],
        "best_epoch": trained["best_epoch"],
        **(
            {}
            if run.predictor
            else {"weights_evaluated": evaluation.weights, "weights_sha256": files.digest_file(weights)}
        ),
        "embedding": embedded["settings"],
        "embedding_weights": embedded.get("weights"),
        "seeds": {
            "training": run.seed,
            "split": splits.read_manifest(split)["settings"]["seed"],
            "evaluation": evaluation.seed,
        },
        "fingerprints": trained["settings"]["fingerprints"],
        **{name: trained[name] for name in ("loss", "mean_ab", "versions", "backend", "settings") if name in trained},
        "configuration": dict(resolved),
    }
