"""The model card of a run: its network, training data, scores, limits and intended use."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jinja2 import UndefinedError
from markupsafe import Markup

from pipeline.config import schema
from pipeline.config.partitions import PARTITIONS
from pipeline.config.runs import Run
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.embedding import of_run, recipe, registry
from pipeline.evaluation import intervals, paired, untrained, vocabulary
from pipeline.evaluation.predictors import GRAY, MAJORITY, MEAN
from pipeline.evaluation.scores import MODEL, PAPER, START
from pipeline.networks import cost, heads, inputs, notation
from pipeline.results.markdown import environment
from pipeline.results.read import RunResults, read_run
from pipeline.results.tables import cell

METRICS = ("rmse", "ciede2000", "psnr", "ssim", "accuracy", "chroma_ratio")
ANSWERS = (MODEL, START, GRAY, MEAN, MAJORITY, PAPER)
FEW_IMAGES = 1000  # fewer training images are a limitation; the paper had 15,000
WORST = 5  # number of test images listed as the worst

SOURCES = {
    "sample": "squares cut from the colour photographs that scikit-image installs",
    "kaggle": 'arrays in the layout of Kaggle\'s "image-colorization" (shravankumar9892); whether they are that '
    "dataset was not checked",
    "hdf5": "the arrays of an HDF5 file",
    "folder": "the centre squares of a folder's photographs",
    "squash": "a folder's photographs, squashed into squares",
}


def write(folder: Path, name: str, path: Path, *, published: bool = False) -> None:
    """Write the card of a run to `path`, from run.yaml and the CSV files in `folder`: equal files give equal bytes.

    If it is `published`, pictures and the scores of each image are not beside the card.

    Raises:
        InputError: one of the files is missing, damaged or incomplete.
    """
    run = read_run(folder, name)
    if run.problems:
        raise InputError(f"{folder}: expected the results of a run, received: {next(iter(run.problems.values()))}")
    try:
        text = environment().get_template("model-card.md").render(_view(run), published=published)
    except (KeyError, UndefinedError) as error:
        raise InputError(
            f"{folder / 'run.yaml'}: expected a complete record, received a gap ({error}); evaluate the run again"
        ) from None
    files.write_text(path, text)


def _view(run: RunResults) -> dict[str, Any]:
    info = run.record
    named = run.run
    if named is None:
        raise KeyError("settings")
    settings, made = info["settings"], info["embedding"]
    source = settings["images"]["source"]
    diverged = run.status.startswith("diverged")
    network = None if made["weights"] == "none" else registry.of_record(made)
    weights = recipe.label(made) if network else "no embedding"
    tables = [(name, *_table(run, name)) for name in ("test", "validation")]
    return {
        "run": run,
        "named": named,
        "name": Markup(named.name),  # noqa: S704 - a name as `Run` spells it, for a code block
        "info": info,
        "settings": settings,
        "front": Markup(_front_matter(run, diverged)),  # noqa: S704 - YAML
        "diverged": diverged,
        "weights": weights,
        "embedding_network": network,
        "weights_digest": of_run.digest(info["embedding_weights"] or {}) if network else None,
        **(_untrained(settings) if run.untrained else _network(named, info, network.outputs if network else None)),
        "source": source,
        "source_words": SOURCES.get(source.get("crop", source["kind"]), source["kind"]),
        "partitions": [(name, run.counts.get(name, "0"), run.groups.get(name, 0)) for name in PARTITIONS],
        "tables": tables,
        "intervals": any("(" in text for _, _, rows in tables for _, texts in rows for text in texts),
        "paper": any(vocabulary.heading(PAPER) in headings for _, headings, _ in tables),
        "meanings": [vocabulary.term(name) for name in METRICS if ("test", MODEL, name) in run.scores],
        "limits": _limits(run, weights),
        "worst": _worst(run),
    }


def _untrained(settings: Mapping[str, Any]) -> dict[str, Any]:
    chosen = untrained.choose(settings["predictor"])
    return {"untrained": chosen, "inputs": chosen.stored}


def _network(named: Run, info: Mapping[str, Any], outputs: inputs.Outputs | None) -> dict[str, Any]:
    """Return what the card says of a run's network and its training, which a predictor without training lacks."""
    settings = info["settings"]
    architecture = schema.Architecture.model_validate(settings["architecture"])
    head = heads.choose(architecture.head)
    names = notation.input_names(architecture, embedding=named.embedding)
    stored = list(inputs.shapes([name for name in names if inputs.INPUTS[name].stored], outputs).items())
    return {
        "untrained": None,
        "inputs": stored,
        "latent": inputs.LATENT if architecture.latent else 0,
        "maps": any(len(shape) == 3 for _, shape in stored),
        "architecture": architecture,
        "head": head,
        "temperature": info.get("configuration", {}).get("evaluation", {}).get("temperature") or head.temperature,
        "optimiser": _optimiser(settings["training"]),
        "parameters": cost.parameters(named.architecture, architecture, embedding=named.embedding, outputs=outputs),
    }


def _optimiser(training: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name of a run's optimiser, and what a reader must know of its schedule and of augmentation."""
    given = schema.Training(**{"epochs": 1, **training})
    name = {"adam": "Adam", "adamw": f"AdamW (weight decay {given.weight_decay:g})"}[given.optimizer]
    more = [f"rising in the first {given.warmup_epochs:g} epochs"] * (given.warmup_epochs > 0)
    every = f"by a factor of {given.decay:g} every {given.decay_epochs:g} epochs"
    more += {
        "constant": [],
        "cosine": ["falling to 0 along a cosine"],
        "step": [f"falling {every}"],
        "exponential": [f"falling gradually {every}"],
    }[given.schedule]
    more += [f"gradients clipped to a norm of {given.clip_norm}"] * (given.clip_norm is not None)
    more += [f"moving averages of the weights with a decay of {given.ema_decay}"] * (given.ema_decay is not None)
    more += [f"on {given.images} of the training images"] * (given.images is not None)
    more += ["each image mirrored with probability 1/2 in each epoch"] * given.mirror
    return name, "".join(f", {each}" for each in more)


def _front_matter(run: RunResults, diverged: bool) -> str:
    """Return the metadata that Hugging Face reads from a card, as YAML."""
    tags = ["colorization", "deepcolor"]
    tags += ["random-embedding-weights"] * (run.weights == "random") + ["diverged"] * diverged
    shown = [name for name in METRICS if math.isfinite(run.score("test", name).value)]
    values = {
        "license": "other",
        "license_name": "that-of-the-training-data",
        **({} if run.untrained else {"library_name": "keras"}),
        "pipeline_tag": "image-to-image",
        "tags": tags,
        **({"metrics": shown} if "rmse" in shown else {}),
    }
    return str(yaml.safe_dump(values, sort_keys=False))


def _table(run: RunResults, partition: str) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return the headings of the answers, and rows of a metric's label and its cells: value and interval."""
    answers = [a for a in ANSWERS if any((partition, a, m) in run.scores for m in METRICS)]
    rows = [
        (
            vocabulary.term(metric).label,
            [cell(run.scores.get((partition, answer, metric)), metric).line for answer in answers],
        )
        for metric in METRICS
        if (partition, MODEL, metric) in run.scores
    ]
    return [vocabulary.heading(answer) for answer in answers], rows


def _limits(run: RunResults, weights: str) -> list[str]:
    """Return sentences on where the run is weak, or not shown to be good."""
    found = []
    if run.weights == "random":
        found.append(
            f"Its embeddings come from a network that was never trained: {weights}. They say little about what a "
            "photograph shows."
        )
    if missed := paired.remark(run.differences):
        found.append(f"Compared with the baselines on the test images: {missed}.")
    found += _chroma(run)
    if int(run.counts.get("train") or 0) < FEW_IMAGES:
        images = f"{run.counts.get('train')} images"
        found.append(
            f"It takes its colours from only {images}, so many photographs have none that is similar."
            if run.untrained
            else f"It was trained on only {images} ({_groups(run, 'train')}), so it has seen few kinds of objects."
        )
    few = [name for name in ("test", "validation") if run.groups.get(name, 0) < intervals.FEWEST_GROUPS]
    if few:
        counts = ", ".join(f"{name}: {_groups(run, name)}" for name in few)
        found.append(
            f"Fewer than {intervals.FEWEST_GROUPS} groups of images ({counts}) are too few for intervals, so these "
            "scores say nothing about other photographs."
        )
    if run.status == "finished" and 0 < run.record["epochs"] == run.record["best_epoch"]:
        found.append("The last epoch was the best one, so longer training may help.")
    return found


def _groups(run: RunResults, partition: str) -> str:
    count = run.groups.get(partition, 0)
    return f"{count} {'group' if count == 1 else 'groups'}"


def _chroma(run: RunResults) -> list[str]:
    score = run.score("test", "chroma_ratio")
    if not math.isfinite(score.value):
        return []
    low, high = (None if end is None else end - 1 for end in (score.low, score.high))
    verdict = intervals.verdict(low, high, "higher")
    share = f"{score.value:.0%} of the true pictures' chroma"
    if verdict == "no clear difference":
        return [f"It is not clear whether its colours are paler or stronger than the true ones: {share}."]
    if score.value == 1:
        return []
    chance = "; without an interval this may be chance" if verdict == "no interval" else ""
    return [f"Its colours are {'paler' if score.value < 1 else 'stronger'} than the true ones: {share}{chance}."]


def _worst(run: RunResults) -> list[Mapping[str, str]]:
    """Return the test images with the largest colour difference, largest first; none if the run diverged."""
    errors = run.images.measures.get("ciede2000", [])
    ranked = sorted((-value, place) for place, value in enumerate(errors) if value == value)[:WORST]
    rmse = run.images.measures.get("rmse", errors)
    return [
        {"id": run.images.ids[place], "ciede2000": f"{-value:.2f}", "rmse": f"{rmse[place]:.2f}"}
        for value, place in ranked
    ]
