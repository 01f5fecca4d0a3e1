"""Export a trained run to another runtime: a file or folder that predicts ab from L, checked against Keras."""

import importlib.util
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipeline.colorize.colorizer import complete
from pipeline.colorize.predictors import load_networks
from pipeline.config.paths import ResultFiles
from pipeline.config.sources import SampleSource
from pipeline.core import files, versions
from pipeline.core.errors import InputError
from pipeline.dataset.sources.open import open_source
from pipeline.evaluation import metrics
from pipeline.images import lab, prepare
from pipeline.images.lab import UInt8
from pipeline.networks.inputs import ImageBatch, fixed_size, predict
from pipeline.results.record import read_network_record
from pipeline.storage.layouts import VECTOR

Target = Literal["saved_model", "onnx", "tflite"]
Precision = Literal["float32", "float16", "int8"]
Float32 = npt.NDArray[np.float32]

SUFFIXES: dict[Target, str] = {"saved_model": "", "onnx": ".onnx", "tflite": ".tflite"}
# Packages of the extra `export`, by import name.
PACKAGES: dict[Target, dict[str, str]] = {
    "saved_model": {},
    "onnx": {"onnx": "onnx", "onnxruntime": "onnxruntime", "tf2onnx": "tf2onnx"},
    "tflite": {"ai_edge_litert": "ai-edge-litert"},
}
PHOTOGRAPHS = 8  # sample photographs that the export is checked on
CUT = (101, 150)  # height and width, neither divisible by 8
LARGEST_DIFFERENCE = 0.01  # of any a or b from Keras, in 8-bit units, for float32
LARGEST_LOSS = 1.0  # mean CIEDE2000 from Keras, for float16 and int8; about 1 is just visible

log = logging.getLogger("deepcolor")


@dataclass(frozen=True)
class Form:
    """The kind of export.

    Attributes:
        target: the format.
        precision: of the weights; TFLite only, see `pipeline.colorize.runtimes.write_tflite`.
        embedding_is_input: make the embedding (batch, n) a second input, instead of including its network.
        temperature: at which predicted classes become colours; None: as evaluated.
    """

    target: Target
    precision: Precision = "float32"
    embedding_is_input: bool = False
    temperature: float | None = None

    def default_path(self, run: Path) -> Path:
        """Return the default place for an export of ``<root>/results/<run>/``, in ``<root>/exports/``.

        Runs of two datasets, which have roots of their own, may have the same name. Other folders than
        ``results`` have no root, and their exports are written to ``exports/``.
        """
        root = run.parents[1] if len(run.parents) > 1 and run.parent.name == "results" else Path()
        parts = [run.resolve().name]
        parts += ["embedding-input"] if self.embedding_is_input else []
        parts += [self.precision] if self.precision != "float32" else []
        parts += [f"temperature-{self.temperature:g}"] if self.temperature is not None else []
        return root / "exports" / ("_".join(parts) + SUFFIXES[self.target])


def record_of(path: Path) -> Path:
    """Return the JSON file beside an export, which records its origin and its difference from Keras."""
    return path.with_name(f"{path.name}.json")


def export(
    run: Path,
    path: Path,
    form: Form,
    *,
    embedding_weights: Path | None = None,
    replace: bool = False,
    threads: int = 2,
) -> dict[str, Any]:
    """Export a run, and keep the export only if its runtime gives the same answers as Keras.

    Everything is computed in float32 on the CPU, whatever the run was trained in. Starts Keras.

    Args:
        run: ``results/<run>/``.
        path: the file to write, or the folder of a SavedModel; `record_of` it is written last.
        form: the kind of export.
        embedding_weights: the embedding network's weights, if they are not where the run's configuration says.
        replace: replace an existing export.
        threads: number of threads to compute with.

    Returns:
        The content of `record_of` the path.

    Raises:
        InputError: the folder is not a run's or is damaged, the form does not suit the run, a package is missing, the
            path exists, or the answers differ from Keras' by more than `LARGEST_DIFFERENCE` or `LARGEST_LOSS`.
    """
    record = read_network_record(run)
    _refuse_unfit(run, record, form)
    refuse_missing_packages(form.target)
    _refuse_existing(path, form.target, replace)
    if "keras" not in sys.modules:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # GPUs round factors to TF32
    with complete(run):
        network, embed = load_networks(run, record, embedding_weights, threads, "float32", form.temperature)
        outputs = {name: tensor.shape[1:] for name, tensor in embed.model.output.items()} if embed else {}
        description = _described(run, record, form, outputs, fixed_size(network))
    from pipeline.colorize import runtimes

    network = runtimes.in_float32(network)
    names, lightness = sample()
    cases = list(_cases(network, embed, lightness))
    log.info("export: writing %s for %s and comparing it with Keras", record["run"], form.target)
    module = runtimes.colouring(network, None if form.embedding_is_input or not embed else embed.model, outputs)
    own = files.read_if_whole(record_of(path)).get("files", ())
    with files.new_folder(path, own) if form.target == "saved_model" else files.written_whole(path) as temporary:
        match form.target:
            case "saved_model":
                runtimes.write_saved_model(module, temporary)
                answer = runtimes.open_saved_model(temporary, threads)
            case "onnx":
                runtimes.write_onnx(module, temporary)
                answer = runtimes.open_onnx(temporary, threads)
            case "tflite":
                runtimes.write_tflite(module, temporary, form.precision)
                answer = runtimes.open_tflite(temporary, threads)
        check = {"photographs": names, **_check(cases, answer, form)}
        _refuse_different(path, check)
        written = files.digests(temporary) if temporary.is_dir() else {path.name: files.digest_file(temporary)}
        parts = [temporary / name for name in written] if temporary.is_dir() else [temporary]
        size = sum(part.stat().st_size for part in parts)
        record_of(path).unlink(missing_ok=True)  # it belongs to an earlier export
    description |= {"check": check, "files": written, "bytes": size}
    files.write_json(record_of(path), description)
    return description


def _refuse_unfit(run: Path, record: Mapping[str, Any], form: Form) -> None:
    if form.precision != "float32" and form.target != "tflite":
        raise InputError(f"--precision: expected float32 for {form.target}, received {form.precision}; use --to tflite")
    if form.embedding_is_input and record.get("embedding", {}).get("weights") == "none":
        raise InputError(f"--embedding input: {run} does not use an embedding; leave out the option")
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise InputError(
            f"KERAS_BACKEND: expected tensorflow, which export needs, received {os.environ['KERAS_BACKEND']}; unset it "
            "for this command"
        )


def refuse_missing_packages(target: Target) -> None:
    """Raise an InputError if a package that writes this format is missing."""
    if missing := [name for module, name in PACKAGES[target].items() if importlib.util.find_spec(module) is None]:
        raise InputError(
            f"--to {target}: expected the installed packages {', '.join(PACKAGES[target].values())}, but "
            f"{', '.join(missing)} is missing; run pip install -c requirements.lock '.[export]'"
        )


def _refuse_existing(path: Path, target: Target, replace: bool) -> None:
    """Refuse to replace anything but an export, which its record identifies, and that record."""
    record = files.read_if_whole(record_of(path))
    if os.path.lexists(record_of(path)) and record.get("target") not in SUFFIXES:
        raise InputError(
            f"{record_of(path)}: expected nothing, or the record of an export, received another file; change --out"
        )
    if not os.path.lexists(path):
        return
    if not replace:
        raise InputError(f"{path} exists; add --replace, or change --out")
    found = files.digests(path) if path.is_dir() else {path.name: files.digest_file(path)} if path.is_file() else {}
    if path.is_dir() != (target == "saved_model") or not found or found != record.get("files"):
        kind = "the folder of a SavedModel" if target == "saved_model" else "a file"
        raise InputError(
            f"{path}: expected {kind} that export wrote, and its record {record_of(path).name}, received something "
            "else; move it away, or change --out"
        )


@dataclass(frozen=True)
class _Case:
    """A batch with Keras' answer.

    Attributes:
        lightness: L (n, H, W) uint8.
        embedded: outputs of the embedding network by name.
        ab: (n, H, W, 2) float32.
    """

    lightness: UInt8
    embedded: dict[str, Float32]
    ab: Float32


def sample() -> tuple[list[str], UInt8]:
    """Return names and L (`PHOTOGRAPHS`, 224, 224) of photographs spread evenly over the sample."""
    source = open_source(SampleSource(), limit=None, scratch=Path())
    chosen = np.linspace(0, source.n - 1, PHOTOGRAPHS).round().astype(int).tolist()
    names = [source.info(row, row + 1)[0].id for row in chosen]
    return names, np.concatenate([source.read(row, row + 1)[0] for row in chosen])


def _cases(network: Any, embed: Any, lightness: UInt8) -> Iterator[_Case]:
    """Yield the photographs in pairs, then, if the network takes any size, a part of each that is no multiple of 8."""
    pairs = [lightness[start : start + 2] for start in range(0, len(lightness), 2)]
    height, width = CUT
    parts = [] if fixed_size(network) else [each[None, -height:, :width] for each in lightness]
    for batch in (*pairs, *parts):
        embedded = {} if embed is None else embed(batch)
        rows, columns = batch.shape[1:]
        yield _Case(batch, embedded, predict(network, ImageBatch(prepare.padded(batch), embedded))[:, :rows, :columns])


def _check(cases: list[_Case], answer: Any, form: Form) -> dict[str, Any]:
    """Measure the differences of a runtime's answers from Keras'."""
    differences: list[float] = []
    losses: dict[tuple[int, ...], list[float]] = {}
    for case in cases:
        ab = answer(lightness=case.lightness, **(case.embedded if form.embedding_is_input else {}))
        if (ab.shape, ab.dtype) != (case.ab.shape, case.ab.dtype):
            raise InputError(
                f"--to {form.target}: expected answers {case.ab.shape} {case.ab.dtype}, received {ab.shape} "
                f"{ab.dtype}; the export was deleted; export to another runtime"
            )
        differences.append(float(np.abs(ab - case.ab).max()))
        pictures = [lab.decode(case.lightness, each) for each in (ab, case.ab)]
        losses.setdefault(case.lightness.shape[1:], []).extend(metrics.ciede2000_of_lab(*pictures).tolist())
    lossy = form.precision != "float32"
    return {
        "against": "Keras on TensorFlow, float32, on the CPU",
        "sizes": [list(size) for size in losses],
        "largest_difference": float(np.max(differences)),
        "ciede2000": [float(np.mean(loss)) for loss in losses.values()],
        "tolerance": {"ciede2000": LARGEST_LOSS} if lossy else {"largest_difference": LARGEST_DIFFERENCE},
    }


def _refuse_different(path: Path, check: Mapping[str, Any]) -> None:
    for measure, tolerance in check["tolerance"].items():
        value = float(np.max(check[measure]))
        if not value <= tolerance:  # NaN is refused too
            raise InputError(
                f"{path}: expected answers within {tolerance:g} of Keras' ({measure}), received {value:.4g}; the "
                "export was deleted; change --precision or --to"
            )


def _described(
    run: Path,
    record: Mapping[str, Any],
    form: Form,
    outputs: Mapping[str, tuple[int, ...]],
    size: tuple[int, int] | None,
) -> dict[str, Any]:
    none = record["embedding"]["weights"] == "none"
    area = "{}, {}".format(*size or ("H", "W"))
    any_size = "" if size else ", of any height and width"
    inputs = {"lightness": f"(batch, {area}) uint8: L in 8-bit units, 0..255{any_size}"}
    if form.embedding_is_input:
        for name, shape in outputs.items():
            kind = record["embedding"]["activation"] if name == VECTOR else name
            inputs[name] = f"(batch, {', '.join(map(str, shape))}) float32: {kind} of the embedding network"
    packages = PACKAGES[form.target].values()
    model = ResultFiles(run).model
    return {
        "run": record["run"],
        "target": form.target,
        "precision": form.precision,
        **({} if form.temperature is None else {"temperature": form.temperature}),
        "embedding": "none" if none else "input" if form.embedding_is_input else "inside",
        "inputs": inputs,
        "outputs": {
            "ab": f"(batch, {area}, 2) float32: a and b in 8-bit units, 128 is neutral; 0 or more, not clipped"
        },
        "made_from": {
            "fingerprints": record.get("fingerprints", {}),
            "network": {model.name: files.digest_file(model)},
            "embedding_network": record["embedding"] | (record.get("embedding_weights") or {}),
        },
        "versions": {**versions.versions(networks=True), **{name: version(name) for name in packages}},
    }
