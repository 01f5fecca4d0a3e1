"""The model card: what a run's network is, what it was trained on, how well it does, and what it is not for."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError
from markupsafe import Markup

from pipeline.config import schema
from pipeline.core import files
from pipeline.embedding import of_run, recipe, registry
from pipeline.evaluation import bootstrap, paired, predictors, scores
from pipeline.networks import notation
from pipeline.core.errors import InputError
from pipeline.results.read import RunResults, read_run
from pipeline.results.page_views import cell
from pipeline.results.vocabulary import MEASURES, answers as labels
from pipeline.config.runs import Run
from pipeline.config.partitions import PARTITIONS

TEMPLATES = Path(__file__).with_name("templates")
MEASURED = ("rmse", "ciede2000", "psnr", "ssim", "accuracy", "chroma_ratio")  # metrics of its tables
BESIDE = (predictors.GRAY, predictors.MEAN, predictors.MAJORITY, scores.PAPER)  # answers that stand beside the run's
FEW_IMAGES = 1000  # fewer training images are told to be few; the paper had 15,000
WORST = 5  # test images that are named

SOURCES = {
    "sample": "squares cut from the colour photographs that scikit-image installs",
    "kaggle": 'the arrays of Kaggle\'s "image-colorization" (shravankumar9892)',
    "hdf5": "the arrays of an HDF5 file",
    "folder": "the centre squares of a folder's photographs",
}


def write(folder: Path, name: str, path: Path) -> None:
    """Write the card of a run, from the files of its results alone: equal files give equal bytes.

    Args:
        folder: what holds run.yaml, metrics.csv, differences.csv and per_image.csv.
        name: the run's name.
        path: the card.

    Raises:
        InputError: one of these files is missing, damaged or lacks something.
    """
    run = read_run(folder, name)
    if run.problems:
        raise InputError(f"{folder}: expected the results of a run, received: {run.problems[0]}")
    compared = files.read_csv(folder / "differences.csv", paired.COLUMNS)
    try:
        text = _environment().get_template("model-card.md").render(_view(run, compared))
    except (KeyError, UndefinedError) as error:
        raise InputError(
            f"{folder / 'run.yaml'}: expected all that a run tells, received less: {error}; evaluate the run again"
        ) from None
    files.write_text(path, text)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=False,  # noqa: S701 - it is no HTML; `literal` does it for Markdown
        finalize=literal,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(code=code, count=lambda number: f"{int(number):,}")
    return environment


def literal(value: object) -> object:
    """Text that Markdown shows as it is, in one line, whatever it holds; `Markup` and what is no text stay."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return re.sub(r"([\\`*_\[\]<>|~&$#])", r"\\\1", _line(value))


def code(value: object) -> Markup:
    """Text as a code span, in which nothing is a link or markup, and which no text can end. Not for tables."""
    text = _line(str(value))
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    edge = " " if text.startswith("`") or text.endswith("`") or text != text.strip() else ""
    return Markup(f"{fence}{edge}{text}{edge}{fence}") if text else Markup("(empty)")  # noqa: S704 - of Markdown


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _view(run: RunResults, compared: list[dict[str, str]]) -> dict[str, Any]:
    info = run.info
    named = Run.parse(run.name)
    settings, made = info["settings"], info["embedding"]
    architecture = schema.Architecture.model_validate(settings["architecture"])
    source = settings["images"]["source"]
    diverged = run.status.startswith("diverged")
    weights = recipe.label(made) if named.embedding else "no embedding"
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
        "embedding_network": registry.of_record(made) if named.embedding else None,
        "weights_digest": of_run.digest(info["embedding_weights"] or {}) if named.embedding else None,
        "architecture": architecture,
        "parameters": notation.parameters(named.architecture, architecture, embedding=named.embedding),
        "source": source,
        "source_words": SOURCES.get(source["kind"], source["kind"]),
        "partitions": [(name, run.counts.get(name, "0"), run.groups.get(name, 0)) for name in PARTITIONS],
        "tables": tables,
        "intervals": any("(" in text for _, _, rows in tables for _, texts in rows for text in texts),
        "paper": any(labels()[scores.PAPER] in headings for _, headings, _ in tables),
        "meanings": [MEASURES[name] for name in MEASURED if ("test", scores.MODEL, name) in run.scores],
        "limits": _limits(run, compared, weights),
        "worst": _worst(run),
    }


def _front_matter(run: RunResults, diverged: bool) -> str:
    """What Hugging Face reads of a card, as YAML."""
    tags = ["colorization", "deepcolor"]
    tags += ["random-embedding-weights"] * (run.weights == "random") + ["diverged"] * diverged
    shown = [name for name in MEASURED if _finite(run, name)] if _finite(run, "rmse") else []
    values = {
        "license": "other",
        "license_name": "that-of-the-training-data",
        "library_name": "keras",
        "pipeline_tag": "image-to-image",
        "tags": tags,
        **({"metrics": shown} if shown else {}),
    }
    return str(yaml.safe_dump(values, sort_keys=False))


def _finite(run: RunResults, metric: str) -> bool:
    value = run.value("test", scores.MODEL, metric)
    return value - value == 0


def _table(run: RunResults, partition: str) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """The headings of the answers, and by metric a cell each: value and, in brackets, interval."""
    answers = [a for a in (scores.MODEL, *BESIDE) if any((partition, a, m) in run.scores for m in MEASURED)]
    rows = []
    for metric in MEASURED:
        cells = [cell(run.scores.get((partition, answer, metric)), metric) for answer in answers]
        if (partition, scores.MODEL, metric) in run.scores:
            rows.append((MEASURES[metric].label, [f"{c.text} ({c.note})" if c.note else c.text for c in cells]))
    return [labels()[answer] for answer in answers], rows


def _limits(run: RunResults, compared: list[dict[str, str]], weights: str) -> list[str]:
    """What the run is bad at, or cannot be known to be good at: sentences on what was measured."""
    found = []
    if run.weights == "random":
        found.append(
            f"Its embeddings are those of a network that was never trained: {weights}. They cannot tell it what is in "
            "a photograph as a trained network's could."
        )
    if missed := paired.remark(compared):
        found.append(f"Test images, against the answers that need no network: {missed}.")
    found += _chroma(run)
    if int(run.counts.get("train") or 0) < FEW_IMAGES:
        found.append(
            f"It was trained on few images ({run.counts.get('train')}, of {_groups(run, 'train')}): what is not among "
            "them it has never seen."
        )
    few = [name for name in ("test", "validation") if run.groups.get(name, 0) < bootstrap.FEWEST_GROUPS]
    if few:
        told = " and the ".join(f"{name} images of {_groups(run, name)}" for name in few)
        found.append(
            f"The {told} are of fewer than {bootstrap.FEWEST_GROUPS}: they have no intervals, and their scores say "
            "nothing about other photographs."
        )
    if run.status == "finished" and run.info["best_epoch"] == run.info["epochs"]:
        found.append("Its best epoch is its last: training had not been seen to stop helping.")
    return found


def _groups(run: RunResults, partition: str) -> str:
    count = run.groups.get(partition, 0)
    return f"{count} {'group' if count == 1 else 'groups'}"


def _chroma(run: RunResults) -> list[str]:
    score = run.scores.get(("test", scores.MODEL, "chroma_ratio"))
    if score is None or not _finite(run, "chroma_ratio"):
        return []
    low, high = (None if end is None else end - 1 for end in (score.low, score.high))
    verdict = bootstrap.verdict(low, high, "higher")
    told = f"{score.value:.0%} of the true pictures' chroma"
    if verdict == "no clear difference":
        return [f"Whether its colours are paler or stronger than the true ones is not clear: {told}."]
    if score.value == 1:
        return []
    on = " on these test images, with no interval to tell it from chance" if verdict == "no interval" else ""
    return [f"Its colours are {'paler' if score.value < 1 else 'stronger'} than the true ones{on}: {told}."]


def _worst(run: RunResults) -> list[Mapping[str, str]]:
    """The test images with the largest colour difference, largest first; none where there are no numbers."""
    errors = run.images.measures.get("ciede2000", [])
    ranked = sorted((-value, place) for place, value in enumerate(errors) if value == value)[:WORST]
    rmse = run.images.measures.get("rmse", errors)
    return [
        {"id": run.images.ids[place], "ciede2000": f"{-value:.2f}", "rmse": f"{rmse[place]:.2f}"}
        for value, place in ranked
    ]
