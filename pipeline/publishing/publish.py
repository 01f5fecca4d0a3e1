"""Publish a trained run: a folder with which photographs are coloured without Keras, for example `paths.SHIPPED`.

It contains the embedding network and the run's network as one ONNX file with weights in float16, which predicts logits
of classes of colour; how hints spread over its predictions, and how much they help; the run's own network, from which
further training can start; its record and model card; and the photographs that it was trained and tested on.
"""

import logging
import os
import shutil
import sys
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from skimage.color import rgb2lab

from pipeline.colorize import ingested, membership, predictors, refining, sessions
from pipeline.colorize.colorizer import Colorizer, complete
from pipeline.colorize.export import PACKAGES, refuse_missing_packages, sample
from pipeline.config.paths import ResultFiles
from pipeline.core import csv_files, files
from pipeline.core.errors import InputError
from pipeline.core.progress import Progress, Silent
from pipeline.core.text import escaped
from pipeline.dataset import splits
from pipeline.evaluation import metrics
from pipeline.images import lab
from pipeline.networks.inputs import fixed_size
from pipeline.publishing import measuring
from pipeline.results import model_card
from pipeline.results.record import read_network_record

LEARNED_FROM = 2000  # training photographs, at most, from which the spreading of hints is learned
SEED = 0  # of simulated hints
LARGEST_LOSS = 0.5  # mean CIEDE2000 of any sample photograph coloured with and without Keras

log = logging.getLogger("deepcolor")


def publish(
    run: Path, folder: Path, *, replace: bool = False, threads: int = 2, progress: Progress | None = None
) -> dict[str, Any]:
    """Publish a run, and keep the folder only if it colours sample photographs as Keras does. Starts Keras.

    Args:
        run: ``results/<run>/`` of a network of one size that predicts classes, such as `color`.
        folder: the folder to write; see `ResultFiles.published`.
        replace: replace an existing folder of a published network.
        threads: number of threads to compute with.
        progress: notified of each step.

    Returns:
        The key `published` of the folder's record: temperature, bytes, differences from Keras, versions.

    Raises:
        InputError: the folder is not a run's or is damaged, the network cannot be published, a package is missing,
            `folder` exists, or the colours differ by more than `LARGEST_LOSS`.
    """
    record = read_network_record(run)
    refuse_missing_packages("onnx")
    if folder.exists() and not (replace and ResultFiles(folder).published.exists()):
        if replace:
            raise InputError(
                f"{folder}: expected a published network to replace, received something else; change --out"
            )
        raise InputError(f"{folder} exists; add --replace, or change --out")
    _refuse_foreign(folder)
    if "keras" not in sys.modules:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # GPUs round factors to TF32
    with complete(run):
        in_float32 = {**record, "embedding": {**record["embedding"], "precision": "float32"}}
        keras = predictors.load(run, in_float32, None, threads, None)
        facts: dict[str, Any] = {"temperature": _temperature(run, record, keras.network)}
        log.info("publish: writing %s, and comparing it with Keras", record["run"])
        with files.new_folder(folder) as temporary:
            old, new = ResultFiles(run), ResultFiles(temporary)
            _write_onnx(keras, new.published)
            session = sessions.opened(new.published, threads)
            onnx = predictors.OnnxPredictor(lambda: session, facts["temperature"], "")
            facts["bytes"] = new.published.stat().st_size
            facts["ciede2000"] = _difference(folder, keras, onnx)
            _write_hints(run, onnx, new, threads, progress or Silent())
            facts["versions"] = {name: version(name) for name in PACKAGES["onnx"].values()}
            for name in (old.model.name, old.metrics.name, old.differences.name, old.history.name):
                shutil.copyfile(run / name, temporary / name)
            photographs = _write_photographs(run, record, new.photographs)
            model_card.write(run, record["run"], new.card, published=True)
            more = measuring.section(new.hint_scores) + _section(photographs)
            files.write_text(new.card, new.card.read_text(encoding="utf-8") + more)
            text = yaml.safe_dump({**record, "published": facts}, sort_keys=False, allow_unicode=True, width=1000)
            files.write_text(new.record, text)
            files.write_listing(temporary)
    return facts


def _refuse_foreign(folder: Path) -> None:
    """Refuse to replace a folder with files that are not the published network's."""
    known = {files.LISTING, *files.read_if_whole(folder / files.LISTING).get("files", ())}
    for path in sorted(folder.rglob("*")):
        if not path.is_dir() and path.relative_to(folder).as_posix() not in known:
            raise InputError(f"{path}: expected only a published network's files; move it away, or change --out")


def _temperature(run: Path, record: Mapping[str, Any], network: Any) -> float:
    """Return the temperature at which the run was evaluated."""
    from pipeline.networks.layers import AnnealedMean

    own = [layer.temperature for layer in network.layers if isinstance(layer, AnnealedMean)]
    if not own or not fixed_size(network):
        raise InputError(
            f"{run}: expected a run that predicts classes for pictures of one size, such as one of the architecture "
            "color, received another; use export"
        )
    return float(record["configuration"]["evaluation"].get("temperature") or own[0])


def _write_onnx(predictor: predictors.KerasPredictor, path: Path) -> None:
    import keras

    from pipeline.colorize import runtimes
    from pipeline.networks.layers import AnnealedMean

    network: Any = runtimes.in_float32(predictor.network)
    embed: Any = predictor.embed
    logits = next(layer for layer in network.layers if isinstance(layer, AnnealedMean)).input
    features = next(layer for layer in network.layers if layer.output is logits).input
    if features.shape[:3] != logits.shape[:3]:
        features = logits
    answering = keras.Model(network.inputs, [logits, features])
    outputs = {name: tensor.shape[1:] for name, tensor in embed.model.output.items()} if embed else {}
    answers = predictors.LOGITS, predictors.FEATURES
    runtimes.write_onnx(runtimes.colouring(answering, embed.model if embed else None, outputs, answers), path)
    runtimes.halve_onnx(path)


def _write_hints(run: Path, onnx: predictors.OnnxPredictor, new: ResultFiles, threads: int, progress: Progress) -> None:
    """Learn how hints spread from training photographs, and measure on test photographs how much they help."""
    from pipeline.colorize import runtimes
    from pipeline.publishing import fitting, gates

    images, split = ingested.stores(run)
    table = splits.read(split, images.manifest()["fingerprint"])
    rows = {part: [row for row, each in enumerate(table) if each["partition"] == part] for part in ("train", "test")}
    chosen = np.random.default_rng(SEED).permutation(rows["train"])[:LEARNED_FROM]
    pictures = measuring.pictures(onnx, images, sorted(chosen.tolist()), progress)
    spreading = fitting.fit(pictures, SEED, progress)
    spreading.save(new.spreading)
    network = gates.train(pictures, spreading, SEED, progress)
    runtimes.write_onnx(runtimes.computing(network, refining.INPUTS, refining.GATES), new.refining)
    runtimes.halve_onnx(new.refining)
    session = sessions.opened(new.refining, threads)
    refined = refining.Refined(spreading.projection, lambda: session)
    measured = measuring.measure(onnx, refined, images, rows["test"], SEED, progress)
    measuring.write(new.hint_scores, measured, [table[row]["group"] for row in rows["test"]])


def _difference(folder: Path, keras: predictors.Predictor, onnx: predictors.Predictor) -> list[float]:
    """Return the mean CIEDE2000 between the colours of both, for each sample photograph."""
    _, lightness = sample()
    photographs = lab.gray_levels()[lightness]
    with_keras, without = (np.array([Colorizer(each)(one) for one in photographs]) for each in (keras, onnx))
    stars = [np.array([rgb2lab(each) for each in coloured]) for coloured in (with_keras, without)]
    found = metrics.ciede2000_of_lab(*stars).tolist()
    if not max(found) <= LARGEST_LOSS:  # NaN is refused too
        raise InputError(
            f"{folder}: expected colours within {LARGEST_LOSS:g} of Keras' (mean CIEDE2000), received {max(found):.3g}"
            "; the folder was not written"
        )
    return [float(value) for value in found]


def _write_photographs(run: Path, record: Mapping[str, Any], path: Path) -> list[dict[str, str]]:
    """List the photographs with the digest of the file, the partition, and what else the dataset's table says."""
    photographs = ingested.listed(run)
    table = record["settings"]["images"]["source"].get("table")
    more = {escaped(row["file"]): row for row in csv_files.read(Path(table), ["file"])} if table else {}
    rows = [{**more.get(each.file, {}), **each._asdict()} for each in photographs]
    others = [column for column in next(iter(more.values()), {}) if column not in membership.LISTED]
    csv_files.write(path, [*membership.LISTED, *others], rows)
    return rows


def _section(photographs: list[dict[str, str]]) -> str:
    """Return a section of the model card about the photographs, with their licences if the table has that column."""
    licences = Counter(row["licence"].partition(" (")[0] for row in photographs if row.get("licence"))
    named = ", ".join(f"{licence} ({count:,})" for licence, count in licences.most_common())
    sentence = f" Their licences: {named}. Name their authors wherever a licence asks for it." if named else ""
    return f"""
## Photographs

`photographs.csv` lists the {len(photographs):,} photographs with their partition.{sentence}
"""
