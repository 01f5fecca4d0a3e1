"""A new configuration for a folder of photographs, with comments and a number of epochs that fits them."""

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
from pipeline.embedding import registry
from pipeline.images.formats import EXTENSIONS, MAX_MEGAPIXELS
from pipeline.planning import estimate

RUN = "arch3_lr1e-4"
SEEN = 60_000  # photographs that training sees, each once per epoch
FEWEST_EPOCHS, MOST_EPOCHS = 5, 200
MOST_THREADS = 16
RULES = ("ingest", "embed", "split", "baselines", "train", "evaluate")

TEMPLATE = """\
# Your own photographs: {count} files in {folder_comment}
# Only what differs from config/config.yaml, and what you may want to change; that file has all keys.
#
#   {workflow}
#   {colorize}
#
# {plan}

dataset: {name}
datasets:
  {name}:
    kind: folder                # JPEG, PNG, WebP, TIFF, BMP and GIF, in subfolders too
    path: {folder}
    gray_below: 2.0             # photographs with less mean chroma (CIE Lab units) count as gray and are left out
    max_megapixels: {megapixels:<11g} # larger pictures are left out

limit: null                     # for a trial, a number of photographs to use

root: {name:<25} # models/, results/ and logs/ of these photographs are created in this folder
data: data                      # the stores are created in data/{name}/

threads: {threads:<22} # TensorFlow threads: this machine's processors, at most {most_threads}

# The embedding network should recognise what is in a picture. With random weights it does not: it was never trained,
# and its 1000 numbers only tell images apart. They are the default because they need no download.
embedding:
  weights: random
  # weights: imagenet           # trained on 1000 kinds of things; Keras downloads 225 MB once
  # weights: {official}  # the same file, downloaded elsewhere

split:                          # shares of the photographs; they add up to 1
  train: 0.6                    # to learn from
  validation: 0.2               # to choose the best epoch
  test: 0.2                     # scored and shown in results/
  seed: 4                       # another seed, another draw

# {run} is the smallest of the paper's four networks (249,170 parameters, 0.9 GFLOP per picture; base has 6,606,994
# and 14.7), so its results come soonest. Its learning rate is that of the paper's best test accuracy, which base
# reached. Train any other by its name, for example {name}/results/base_lr1e-4; docs/networks.md lists them.
#
# Epochs: one epoch shows {train} photographs, all epochs together {seen}. The aim is {aim} in total, within
# {fewest} to {most} epochs, because a few photographs seen very often are learned by heart. A finished run continues
# when you raise the number of epochs.
training:
  epochs: {epochs:<21} # at most
  patience: {patience:<19} # stop after this many epochs without a better validation MSE; null never stops early
  precision: float32            # auto uses mixed_bfloat16 where that is faster

evaluation:
  weights: best                 # best (lowest validation MSE) or last
  pictures: 8                   # rows of predictions.png
"""


@dataclass(frozen=True)
class NewConfig:
    """A configuration as text, with what `python -m stages new` prints about it.

    Attributes:
        text: YAML with comments.
        photographs: how many files look like photographs.
        epochs: of training.
        plan: time, disk and memory that it needs on this machine, in one line.
        commands: how to train, and how to colorize photographs.
    """

    text: str
    photographs: int
    epochs: int
    plan: str
    commands: tuple[str, str]


def epochs_for(photographs: int) -> int:
    """Epochs after which training has seen `SEEN` photographs, between `FEWEST_EPOCHS` and `MOST_EPOCHS`."""
    each = schema.Split().train * photographs
    return int(min(max(round(SEEN / each), FEWEST_EPOCHS), MOST_EPOCHS))


def new_config(name: str, folder: Path, place: Path) -> NewConfig:
    """A configuration `name` for the photographs in a folder, to be used in the folder `place`.

    Counts files by their extension; ingest finds out which of them it can read.

    Raises:
        InputError: the name or the folder cannot be used, or there are too few photographs.
    """
    _refuse_name(name, place)
    if not folder.is_dir():
        received = "a file" if folder.exists() else "nothing there"
        raise InputError(
            f"--from {escaped(str(folder))}: expected a folder of photographs, received {received}; name one"
        )
    folder = existing_folder(folder, f"photographs ({', '.join(EXTENSIONS)})").resolve()
    for written in (place / name, place / "data"):
        if written.resolve().is_relative_to(folder):
            raise InputError(
                f"{written}: expected a place outside the photographs, received one in {escaped(str(folder))}, where "
                "DeepColor's own files would be ingested as photographs; name another folder, or work elsewhere"
            )
    found = sum(Path(file).suffix.lower() in EXTENSIONS for file in files_below(folder)[0])
    if found < len(PARTITIONS):
        raise InputError(
            f"{escaped(str(folder))}: expected at least {len(PARTITIONS)} photographs ({', '.join(EXTENSIONS)}), one "
            f"for each of {', '.join(PARTITIONS)}, received {found}; name another folder"
        )
    epochs = epochs_for(found)
    workflow = f"snakemake --cores 4 {name}/results/{RUN} --configfile {name}.yaml"
    colorize = f"python -m stages colorize PHOTOGRAPHS --run {name}/results/{RUN} --out coloured/"
    values = {
        "name": name,
        "folder": json.dumps(str(folder), ensure_ascii=False),
        "folder_comment": escaped(str(folder)),
        "count": found,
        "workflow": workflow,
        "colorize": colorize,
        "threads": min(os.cpu_count() or 1, MOST_THREADS),
        "most_threads": MOST_THREADS,
        "official": registry.ENTRIES[schema.DEFAULT_NETWORK].weights_file,
        "megapixels": MAX_MEGAPIXELS,
        "run": RUN,
        "seen": f"{epochs * _train(found):,}",
        "train": f"{_train(found):,}",
        "epochs": epochs,
        "aim": f"{SEEN:,}",
        "fewest": FEWEST_EPOCHS,
        "most": MOST_EPOCHS,
        "patience": max(5, epochs // 5),
    }
    parsed = _parsed(TEMPLATE.format(**values, plan=""), folder)
    plan = _plan(parsed.model_copy(update={"limit": found}))
    return NewConfig(TEMPLATE.format(**values, plan=plan), found, epochs, plan, (workflow, colorize))


def _refuse_name(name: str, place: Path) -> None:
    try:
        schema.Config(dataset=yaml.safe_load(name), datasets={name: schema.SampleSource()})
    except (ValueError, yaml.YAMLError):
        raise InputError(
            f"{name!r}: expected a name of letters, digits, '.', '_' and '-' that starts with a letter or digit, as in "
            "my-photos, and is no number or word of YAML; name it otherwise"
        ) from None
    root = place / name
    if name in ("sample", "data"):
        raise InputError(f"{name!r}: expected a name of your own, received one that DeepColor uses; name it otherwise")
    places = Paths(schema.Config())
    ours = {places.models.name, places.results.name, places.logs.name}
    if root.exists() and not (root.is_dir() and {path.name for path in root.iterdir()} <= ours):
        raise InputError(
            f"{name!r}: expected a name for new results, received that of {root}, which holds other files; "
            "name it otherwise"
        )


def _train(photographs: int) -> int:
    return round(schema.Split().train * photographs)


def _parsed(text: str, folder: Path) -> schema.Config:
    """The configuration that the text stands for; refused where YAML cannot hold the folder's name."""
    try:
        text.encode("utf-8")
        parsed = loading.parse_config(yaml.safe_load(text))
        source = parsed.datasets[parsed.dataset]
        if isinstance(source, schema.FolderSource) and source.path == str(folder):
            return parsed
    except (ValueError, yaml.YAMLError, InputError):
        pass
    raise InputError(f"{escaped(str(folder))}: expected a folder whose name YAML can hold, received another; rename it")


def _plan(configuration: schema.Config) -> str:
    jobs = [(rule, RUN if rule in ("train", "evaluate") else None) for rule in RULES]
    try:
        return estimate.plan(configuration, jobs)[1]
    except InputError as error:
        return f"warning: {error}"
