"""What of DeepColor works on this machine."""

import os
import platform
import shutil
import tempfile
import time
import webbrowser
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import psutil

from pipeline import __version__
from pipeline.config.paths import SHIPPED
from pipeline.core import extras, files, machine
from pipeline.core.errors import InputError

COLOURS = "colour photographs"


class Check(NamedTuple):
    """What was looked at, whether it works (None: only told), and details."""

    name: str
    works: bool | None
    details: str


def checks(folder: Path) -> Iterator[Check]:
    """Yield what works, with `folder` as the working folder. Nothing is written, and no network library is imported."""
    yield Check(
        "DeepColor", None, f"{__version__}, Python {platform.python_version()}, {platform.platform(terse=True)}"
    )
    yield _colours()
    yield _extra("HEIC, JPEG XL", "formats")
    yield _page()
    yield _extra("train, measure", "pipeline", "tensorflow", "snakemake")
    yield _extra("search", "search")
    yield _extra("tracker mlflow", "mlflow", "mlflow-skinny")
    yield _extra("tracker wandb", "wandb")
    yield _extra("export", "export", "onnx")
    yield _gpu()
    yield _configuration(folder)
    memory = psutil.virtual_memory()
    yield Check(
        "machine", None,
        f"{os.cpu_count()} processors, {memory.total / 2**30:.0f} GiB of memory ({memory.available / 2**30:.0f} free)",
    )  # fmt: skip
    for name, place in (("disk, here", folder), ("disk, temporary", Path(tempfile.gettempdir()))):
        free = shutil.disk_usage(place).free
        yield Check(name, os.access(place, os.W_OK), f"{place.resolve()}: {free / 1e9:.1f} GB free")


def _colours() -> Check:
    """Colour a picture with the network that comes with DeepColor."""
    try:
        import numpy as np

        from pipeline.colorize.colorizer import Colorizer

        files.read_listing(SHIPPED, files.read_json(SHIPPED / files.LISTING)["files"])
        start = time.perf_counter()
        picture = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
        coloured = Colorizer.load()(picture)
        fine = coloured.shape == (256, 256, 3) and bool((coloured.std(axis=-1) > 0).any())
        took = (
            f"the network that comes with DeepColor is whole; a small picture took {time.perf_counter() - start:.1f} s"
        )
        return Check(COLOURS, fine, took if fine else "the network that comes with DeepColor gives no colours")
    except (InputError, ImportError, OSError) as error:
        return Check(COLOURS, False, str(error))


def _extra(name: str, extra: str, *shown: str) -> Check:
    if missing := extras.missing(extra):
        named = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        return Check(name, False, f"{named} not installed: {extras.command(extra)}")
    return Check(name, True, ", ".join(f"{package} {_version(package)}" for package in shown or extras.EXTRAS[extra]))


def _version(module: str) -> str:
    try:
        return version(module.replace("_", "-"))
    except PackageNotFoundError:
        return "installed"


def _page() -> Check:
    check = _extra("page (serve)", "serve")
    try:
        browser = f"opens in {getattr(webbrowser.get(), 'name', 'a browser')}"
    except webbrowser.Error:
        browser = "no browser was found here: open the address that it prints in one"
    return check._replace(details=f"{check.details}; {browser}") if check.works else check


def _gpu() -> Check:
    if not (names := machine.gpus()):
        return Check("GPU", None, "no NVIDIA GPU; everything runs on the processors")
    if not machine.uses_gpus():
        return Check("GPU", False, f"{', '.join(names)}, which TensorFlow cannot use: {extras.command('cuda')}")
    return Check("GPU", True, ", ".join(names))


def _configuration(folder: Path) -> Check:
    path = folder / "config" / "config.yaml"
    if path.is_file():
        return Check("configuration", True, str(path))
    return Check(
        "configuration", None, f"no {path}: colorize and serve need none, other stages run in DeepColor's folder"
    )
