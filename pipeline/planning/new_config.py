"""A commented configuration for a folder of photographs, with a suitable number of epochs."""

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from pipeline.config import loading, schema
from pipeline.config.partitions import PARTITIONS
from pipeline.config.paths import Paths
from pipeline.core.errors import InputError
from pipeline.core.text import escaped
from pipeline.dataset.sources.base import existing_folder, files_below
from pipeline.images.formats import EXTENSIONS, MAX_MEGAPIXELS
from pipeline.planning import estimate

RUN = "arch3_lr1e-4"
SEEN = 60_000  # photographs shown in training, counted once per epoch
FEWEST_EPOCHS, MOST_EPOCHS = 5, 200
MOST_THREADS = 16
RULES = ("ingest", "embed", "split", "baselines", "train", "evaluate")

TEMPLATE = """\
# Your own photographs: {count} files in {folder_comment}
# This file has what differs from config/config.yaml or what you may want to change; that file lists all keys.
#
#   {workflow}
#   {colorize}
#
# {plan}

dataset: {name}
datasets:
  {name}:
    kind: folder                # JPEG, PNG, WebP, TIFF, BMP and GIF, including subfolders
    path: {folder}
    gray_below: 2.0             # photographs with less mean chroma (CIE Lab units) are considered gray and not used
    max_megapixels: {megapixels:<11g} # larger photographs are not used

limit: null                     # number of photographs to use, for a trial

root: {name:<25} # folder for models/, results/ and logs/ of these photographs
data: data                      # stores are created in data/{name}/

threads: {threads:<22} # TensorFlow threads: the processors of this machine, at most {most_threads}

# The embedding network recognises what is in a picture. EfficientNet-Lite0 is installed with DeepColor; the paper's
# network is larger, and Keras downloads its weights (225 MB) once.
embedding:
  network: efficientnet_lite0
  # network: inception_resnet_v2
  weights: imagenet

split:                          # fractions of the photographs; they add up to 1
  train: 0.6                    # to train on
  validation: 0.2               # to choose the best epoch
  test: 0.2                     # scored and shown in results/
  seed: 4                       # another seed gives another draw

# {run} is the smallest of the paper's four networks (249,170 parameters, 0.9 GFLOP per picture; base has 6,606,994
# and 14.7), so it finishes first. With this learning rate, base reached the paper's best test accuracy. To train
# another run, use its name, for example {name}/results/base_lr1e-4; docs/networks.md lists the networks.
#
# Epochs: one epoch shows {train} photographs, all epochs together {seen}. The aim is {aim} in total, within
# {fewest} to {most} epochs, because networks memorise a few photographs that they see very often. To continue a
# finished run, increase the number of epochs.
training:
  epochs: {epochs:<21} # at most
  patience: {patience:<19} # stop after this many epochs without a better validation MSE; null disables this
  precision: float32            # auto uses mixed_bfloat16 where it is faster

evaluation:
  weights: best                 # best (lowest validation MSE) or last
  pictures: 8                   # rows of predictions.png
"""


@dataclass(frozen=True)
class NewConfig:
    """A configuration as text, and what `python -m stages new` prints about it.

    Attributes:
        text: YAML with comments.
        photographs: number of files with the extension of a photograph.
        epochs: number of training epochs.
        plan: time, disk and memory that the work needs on this machine, in one line.
        commands: commands to train, and to colorize photographs.
    """

    text: str
    photographs: int
    epochs: int
    plan: str
    commands: tuple[str, str]


def epochs_for(photographs: int) -> int:
    """Return the epochs in which training sees `SEEN` photographs, from `FEWEST_EPOCHS` to `MOST_EPOCHS`."""
    per_epoch = schema.Split().train * photographs
    return min(max(round(SEEN / per_epoch), FEWEST_EPOCHS), MOST_EPOCHS)


def new_config(name: str, folder: Path, place: Path) -> NewConfig:
    """Return a configuration `name` for the photographs in `folder`, to be used in the folder `place`.

    Counts files by their extension; ingest decides which of them it can read.

    Raises:
        InputError: the name or the folder cannot be used, or there are too few photographs.
    """
    _refuse_name(name, place)
    if not folder.is_dir():
        received = "a file" if folder.exists() else "nothing"
        raise InputError(f"--from {escaped(str(folder))}: expected a folder of photographs, found {received} there")
    folder = existing_folder(folder, f"photographs ({', '.join(EXTENSIONS)})").resolve()
    for output in (place / name, place / "data"):
        if output.resolve().is_relative_to(folder):
            raise InputError(
                f"{output}: expected a location outside the photographs, received one in {escaped(str(folder))}, where "
                "DeepColor's output would be ingested as photographs; choose another folder, or work elsewhere"
            )
    count = sum(Path(file).suffix.lower() in EXTENSIONS for file in files_below(folder)[0])
    if count < len(PARTITIONS):
        raise InputError(
            f"{escaped(str(folder))}: expected at least {len(PARTITIONS)} photographs ({', '.join(EXTENSIONS)}), one "
            f"for each of {', '.join(PARTITIONS)}, found {count}; choose another folder"
        )
    epochs, train = epochs_for(count), round(schema.Split().train * count)
    workflow = f"snakemake --cores 4 {name}/results/{RUN} --configfile {name}.yaml"
    colorize = f"python -m stages colorize PHOTOGRAPHS --run {name}/results/{RUN} --out coloured/"
    values = {
        "name": name,
        "folder": json.dumps(str(folder), ensure_ascii=False),
        "folder_comment": escaped(str(folder)),
        "count": count,
        "workflow": workflow,
        "colorize": colorize,
        "threads": min(os.cpu_count() or 1, MOST_THREADS),
        "most_threads": MOST_THREADS,
        "megapixels": MAX_MEGAPIXELS,
        "run": RUN,
        "seen": f"{epochs * train:,}",
        "train": f"{train:,}",
        "epochs": epochs,
        "aim": f"{SEEN:,}",
        "fewest": FEWEST_EPOCHS,
        "most": MOST_EPOCHS,
        "patience": max(5, epochs // 5),
    }
    parsed = _parsed(TEMPLATE.format(**values, plan=""), folder)
    plan = _plan(parsed.model_copy(update={"limit": count}))
    return NewConfig(TEMPLATE.format(**values, plan=plan), count, epochs, plan, (workflow, colorize))


def _refuse_name(name: str, place: Path) -> None:
    try:
        schema.Config(dataset=yaml.safe_load(name), datasets={name: schema.SampleSource()})
    except (ValueError, yaml.YAMLError):
        raise InputError(
            f"{name!r}: expected a name like my-photos, of letters, digits, '.', '_' and '-', that starts with a "
            "letter or digit and is no YAML number or keyword; choose another name"
        ) from None
    if name in ("sample", "data"):
        raise InputError(f"{name!r}: expected a name that DeepColor does not use itself; choose another name")
    root, paths = place / name, Paths(schema.Config())
    own = {paths.models.name, paths.results.name, paths.logs.name}
    if root.exists() and not (root.is_dir() and {path.name for path in root.iterdir()} <= own):
        raise InputError(
            f"{name!r}: expected a name for new results, but {root} contains other files; choose another name"
        )


def _parsed(text: str, folder: Path) -> schema.Config:
    """Return the configuration of the text; refuse a folder whose name YAML cannot represent."""
    with contextlib.suppress(ValueError, yaml.YAMLError, InputError):
        text.encode("utf-8")
        parsed = loading.parse_config(yaml.safe_load(text))
        source = parsed.datasets[parsed.dataset]
        if isinstance(source, schema.FolderSource) and source.path == str(folder):
            return parsed
    raise InputError(f"{escaped(str(folder))}: expected a folder whose name YAML can represent; rename it")


def _plan(configuration: schema.Config) -> str:
    jobs = [(rule, RUN if rule in ("train", "evaluate") else None) for rule in RULES]
    try:
        return estimate.plan(configuration, jobs)[1]
    except InputError as error:
        return f"warning: {error}"
