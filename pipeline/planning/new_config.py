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
from pipeline.config.sources import FolderSource, SampleSource
from pipeline.core.errors import InputError
from pipeline.core.text import escaped
from pipeline.dataset.sources.base import existing_folder, files_below
from pipeline.images.formats import MAX_MEGAPIXELS, extensions, is_photograph
from pipeline.planning import estimate

RUN = "own"
PAPERS_RUN = "arch3_lr1e-4"
MOST_THREADS = 16
RULES = ("ingest", "embed", "features", "split", "baselines", "train", "evaluate")


@dataclass(frozen=True)
class Epochs:
    """How long to train: until `seen` photographs were shown, counted once per epoch, within `fewest` to `most`."""

    seen: int
    fewest: int
    most: int

    def of(self, photographs: int) -> int:
        """Return the number of epochs for a number of photographs, before they are split."""
        per_epoch = schema.Split().train * photographs
        return min(max(round(self.seen / per_epoch), self.fewest), self.most)


FROM_SHIPPED = Epochs(6_000, 3, 30)
FROM_NOTHING = Epochs(60_000, 5, 200)

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
    toned_below: 1.5            # those with less spread of colour count as toned, such as sepia, and are not used
    max_megapixels: {megapixels:<11g} # larger photographs are not used

limit: null                     # number of photographs to use, for a trial

root: {name:<25} # folder for models/, results/ and logs/ of these photographs
data: data                      # stores are created in data/{name}/

threads: {threads:<22} # TensorFlow threads: the processors of this machine, at most {most_threads}

# The embedding network recognises what is in a picture. EfficientNet-Lite0 is installed with DeepColor, and the run
# {run} needs it. For the paper's runs you can use the paper's network, which is larger and whose weights (225 MB) Keras
# downloads once.
embedding:
  network: efficientnet_lite0
  # network: inception_resnet_v2
  weights: imagenet

split:                          # fractions of the photographs; they add up to 1
  train: 0.6                    # to train on
  validation: 0.2               # to choose the best epoch
  test: 0.2                     # scored and shown in results/
  seed: 4                       # another seed gives another draw

# The run {run} goes on training the network that comes with DeepColor on your photographs. Its results score the
# network before ("start") and after on the same photographs, and so show what yours added.
#
# Epochs: one epoch shows {train} photographs, all epochs together {seen}. The aim is {aim} in total, within
# {fewest} to {most} epochs, because networks memorise a few photographs that they see very often. Another number
# of epochs is another run: give it a name of its own beside {run}, or replace the run (--config replace=true).
#
# To train the same network from nothing, remove start_from, and set learning_rate: 1e-3 and epochs: {epochs_alone}.
# To train one of the paper's networks, use its name as the run, for example {name}/results/{papers_run}, with the
# same number of epochs. That is the smallest (249,170 parameters, 0.9 GFLOP per picture; base has 6,606,994 and 14.7).
# docs/networks.md lists all networks.
experiments:
  {run}:
    architecture: color
    head: {{name: classes, power: 0.5, temperature: 0.6}} # a lower temperature gives more vivid colours
    learning_rate: 3.0e-4
    l2: 0
    batch_size: 16
    training:
      start_from: shipped       # or the folder of another run of this network
      optimizer: adamw
      weight_decay: 1.0e-3
      schedule: cosine          # the learning rate falls to 0 at the last epoch
      warmup_epochs: 0.5
      mirror: true              # show photographs mirrored half of the time

training:
  epochs: {epochs:<21} # at most
  patience: {patience:<19} # stop after this many epochs that are no better on the validation photographs
  precision: float32            # auto uses mixed_bfloat16 where it is faster

evaluation:
  weights: best                 # of the best epoch on the validation photographs, or of the last
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
    folder = existing_folder(folder, f"photographs ({', '.join(extensions())})").resolve()
    for output in (place / name, place / "data"):
        if output.resolve().is_relative_to(folder):
            raise InputError(
                f"{output}: expected a location outside the photographs, received one in {escaped(str(folder))}, where "
                "DeepColor's output would be ingested as photographs; choose another folder, or work elsewhere"
            )
    count = sum(is_photograph(file) for file in files_below(folder)[0])
    if count < len(PARTITIONS):
        raise InputError(
            f"{escaped(str(folder))}: expected at least {len(PARTITIONS)} photographs ({', '.join(extensions())}), one "
            f"for each of {', '.join(PARTITIONS)}, found {count}; choose another folder"
        )
    epochs, train = FROM_SHIPPED.of(count), round(schema.Split().train * count)
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
        "aim": f"{FROM_SHIPPED.seen:,}",
        "fewest": FROM_SHIPPED.fewest,
        "most": FROM_SHIPPED.most,
        "epochs_alone": FROM_NOTHING.of(count),
        "papers_run": PAPERS_RUN,
        "patience": max(5, epochs // 3),
    }
    parsed = _parsed(TEMPLATE.format(**values, plan=""), folder)
    plan = _plan(parsed.model_copy(update={"limit": count}))
    return NewConfig(TEMPLATE.format(**values, plan=plan), count, epochs, plan, (workflow, colorize))


def _refuse_name(name: str, place: Path) -> None:
    try:
        schema.Config(dataset=yaml.safe_load(name), datasets={name: SampleSource()})
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
        if isinstance(source, FolderSource) and source.path == str(folder):
            return parsed
    raise InputError(f"{escaped(str(folder))}: expected a folder whose name YAML can represent; rename it")


def _plan(configuration: schema.Config) -> str:
    jobs = [(rule, RUN if rule in ("train", "evaluate") else None) for rule in RULES]
    try:
        return estimate.plan(configuration, jobs)[1]
    except InputError as error:
        return f"warning: {error}"
