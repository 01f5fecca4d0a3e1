"""A configuration for a folder of photographs: commented, and with epochs that suit their number."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from pipeline.config import loading, schema
from pipeline.config.partitions import PARTITIONS
from pipeline.core.errors import InputError
from pipeline.core.text import escaped
from pipeline.dataset.sources.base import existing_folder, files_below
from pipeline.embedding import registry
from pipeline.images.formats import EXTENSIONS
from pipeline.planning import estimate

RUN = "arch3_lr1e-4"
SEEN = 60_000  # photographs that training sees, each once per epoch
FEWEST_EPOCHS, MOST_EPOCHS = 5, 200
MOST_THREADS = 16
OURS = {"models", "results", "logs"}  # what stages write below `root`
RULES = ("ingest", "embed", "split", "references", "train", "evaluate", "collect")

TEMPLATE = """\
# Photographs of your own: {count} files below {folder_comment}
# Only what differs from config/config.yaml, or what you may want to change; that file has every key.
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
    gray_below: 2.0             # a photograph with less mean chroma (CIE Lab units) counts as gray and is left out
    max_megapixels: 300         # a larger picture is left out

limit: null                     # a number takes the first so many photographs only, for a trial

root: {name:<25} # models/, results/ and logs/ of these photographs lie below this folder
data: data                      # the stores come into data/{name}/

threads: {threads:<22} # of TensorFlow: as many as this machine has processors, at most {most_threads}

# The embedding network should know what is in a picture; with random weights it knows nothing of pictures, was never
# trained, and its 1000 numbers tell images apart without meaning. That is the default because it needs no download.
embedding:
  weights: random
  # weights: imagenet           # trained to tell 1000 kinds of things; Keras downloads 225 MB, once
  # weights: {official}  # the same file, fetched elsewhere

split:                          # shares of the photographs; they add up to 1
  train: 0.6                    # learned from
  validation: 0.2               # choose the best epoch
  test: 0.2                     # scored, and shown in results
  seed: 4                       # another number is another draw

# {run}: the smallest of the paper's four networks (249,170 parameters, 0.9 GFLOP a picture; base has 6,606,994
# and 14.7), so the first result comes soonest; at the learning rate of the paper's best test accuracy, which was
# base's. Any other is asked for by name, as {name}/results/base_lr1e-4; docs/networks.md has them all.
#
# Epochs: training sees {train} photographs in each, {seen} in all. The aim is {aim} in all, however many there are,
# within {fewest} to {most} epochs: a few photographs seen very often are learned by heart. More epochs continue a
# finished run.
training:
  epochs: {epochs:<21} # at most
  patience: {patience:<19} # stop after so many epochs without a better validation MSE; null never stops early
  precision: float32            # auto takes mixed_bfloat16 where this machine computes in it, which is faster there

evaluation:
  weights: best                 # the epoch with the lowest validation MSE, or last
  pictures: 8                   # rows of predictions.png
"""


@dataclass(frozen=True)
class NewConfig:
    """A configuration as text, and what one wants to know of it.

    Attributes:
        text: YAML with comments.
        photographs: how many files look like photographs.
        epochs: of training.
        plan: what it will take on this machine, in one line.
        commands: from the configuration to coloured pictures.
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
    """A configuration named `name` of the photographs below a folder, to be used in the folder `place`.

    Files are counted by their extension; which of them can be used is found by ingest.

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
                "what is written would be taken for photographs; name another folder, or do this elsewhere"
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
        "official": registry.get(schema.DEFAULT_NETWORK).weights_file,
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
    if root.exists() and not (root.is_dir() and {path.name for path in root.iterdir()} <= OURS):
        raise InputError(
            f"{name!r}: expected a name for new results, received that of {root}, which holds other files; "
            "name it otherwise"
        )


def _train(photographs: int) -> int:
    return round(schema.Split().train * photographs)


def _parsed(text: str, folder: Path) -> schema.Config:
    """What the text says, if it says what is meant: a folder's name may hold what YAML cannot."""
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
    jobs = [(rule, RUN if rule in ("train", "evaluate", "collect") else None) for rule in RULES]
    try:
        return estimate.plan(configuration, jobs)[1]
    except InputError as error:
        return f"warning: {error}"
