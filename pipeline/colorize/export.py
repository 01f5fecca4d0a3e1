"""A trained run for other runtimes: one file or folder from L to ab, compared with Keras before it is kept."""

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

from pipeline.config import schema
from pipeline.config.paths import ResultFiles
from pipeline.core import files, versions
from pipeline.core.errors import InputError
from pipeline.dataset.sources.open import open_source
from pipeline.evaluation import metrics
from pipeline.images import lab, prepare
from pipeline.images.lab import UInt8
from pipeline.networks.inputs import ImageBatch, names_of, predict, stored
from pipeline.results.record import read_record
from pipeline.storage.layouts import VECTOR

Target = Literal["saved_model", "onnx", "tflite"]
Precision = Literal["float32", "float16", "int8"]
Float32 = npt.NDArray[np.float32]

SUFFIXES: dict[Target, str] = {"saved_model": "", "onnx": ".onnx", "tflite": ".tflite"}
# What the extra `export` installs, by the name that Python imports.
PACKAGES: dict[Target, dict[str, str]] = {
    "saved_model": {},
    "onnx": {"onnx": "onnx", "onnxruntime": "onnxruntime", "tf2onnx": "tf2onnx"},
    "tflite": {"ai_edge_litert": "ai-edge-litert"},
}
PHOTOGRAPHS = 8  # of the sample
CUT = (101, 150)  # height and width, neither divisible by 8
LARGEST_DIFFERENCE = 0.01  # of float32 from Keras: of a or b, anywhere, in 8-bit units
LARGEST_LOSS = 1.0  # of float16 and int8 from Keras: mean CIEDE2000 of a set of photographs; about 1 is just visible

log = logging.getLogger("deepcolor")


@dataclass(frozen=True)
class Form:
    """What is asked for.

    Attributes:
        target: whose file or folder.
        precision: of the weights; others than float32 for TFLite alone, see `pipeline.colorize.runtimes.write_tflite`.
        embedding_is_input: whether the embedding (batch, n) is a second input, in place of the network inside.
    """

    target: Target
    precision: Precision = "float32"
    embedding_is_input: bool = False

    def default_path(self, run: Path) -> Path:
        """Where the export of ``results/<run>/`` goes unless told."""
        parts = [run.resolve().name]
        parts += ["embedding-input"] if self.embedding_is_input else []
        parts += [self.precision] if self.precision != "float32" else []
        return Path("exports") / ("_".join(parts) + SUFFIXES[self.target])


def record_of(path: Path) -> Path:
    """The JSON file beside an export that tells what made it, and how far it is from Keras."""
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
    """Write a run for another runtime, and keep it where that runtime answers as Keras does; starts Keras.

    All is computed in float32, whatever the run was trained in, and on the CPU.

    Args:
        run: ``results/<run>/``.
        path: the file, or the folder of a SavedModel; it appears whole, and `record_of` it after that.
        form: what to write.
        embedding_weights: the file of the embedding network's weights, if it is not where the run says.
        replace: whether an export that is there is replaced.
        threads: to compute with.

    Returns:
        What `record_of` the path holds.

    Raises:
        InputError: it is no run's folder or a damaged one, the form does not fit it, a package is missing, something
            is there already, or the answers differ from Keras' by more than `LARGEST_DIFFERENCE` or `LARGEST_LOSS`.
    """
    record = read_record(run)
    files.refuse_changed(ResultFiles(run).model)
    _refuse_unfit(run, record, form)
    _refuse_missing_packages(form.target)
    _refuse_existing(path, form.target, replace)
    try:
        network, embed = _networks(run, record, embedding_weights, threads)
        outputs = {name: tensor.shape[1:] for name, tensor in embed.model.output.items()} if embed else {}
        told = _made_from(run, record, form, outputs)
    except KeyError as error:
        raise InputError(f"{run / 'run.yaml'}: expected {error}, which is missing; evaluate the run again") from None
    from pipeline.colorize import runtimes

    names, lightness = sample()
    cases = list(_cases(network, embed, lightness))
    log.info("export: writing %s for %s, then comparing it with Keras", record["run"], form.target)
    module = runtimes.colouring(network, None if form.embedding_is_input or not embed else embed.model, outputs)
    with (files.new_folder if form.target == "saved_model" else files.written_whole)(path) as temporary:
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
        record_of(path).unlink(missing_ok=True)  # it would tell of another export
    told |= {"check": check, "files": written, "bytes": size}
    files.write_json(record_of(path), told)
    return told


def _refuse_unfit(run: Path, record: Mapping[str, Any], form: Form) -> None:
    if form.precision != "float32" and form.target != "tflite":
        raise InputError(f"--precision: expected float32 for {form.target}, received {form.precision}; use --to tflite")
    if form.embedding_is_input and record.get("embedding", {}).get("weights") == "none":
        raise InputError(f"--embedding: {run} takes no embedding, so none can be its input; leave the option out")
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise InputError(
            f"KERAS_BACKEND: expected tensorflow, received {os.environ['KERAS_BACKEND']}; exports are made of "
            "TensorFlow's graphs, so unset it for this command"
        )


def _refuse_missing_packages(target: Target) -> None:
    if missing := [name for module, name in PACKAGES[target].items() if importlib.util.find_spec(module) is None]:
        raise InputError(
            f"--to {target}: expected the package {' and '.join(missing)}, which is not installed; "
            "pip install -c requirements.lock '.[export]'"
        )


def _refuse_existing(path: Path, target: Target, replace: bool) -> None:
    if not (path.exists() or path.is_symlink()):
        return
    if not replace:
        raise InputError(f"{path} is there already; add --replace, or name another place with --out")
    if path.is_dir() != (target == "saved_model") or (path.is_dir() and not (path / "saved_model.pb").is_file()):
        kind = "the folder of a SavedModel" if target == "saved_model" else "a file"
        raise InputError(f"{path}: expected {kind} to replace, received something else; name another place with --out")


def _networks(run: Path, record: Mapping[str, Any], weights: Path | None, threads: int) -> tuple[Any, Any]:
    """The run's network, and its `EmbeddingNetwork` or None, both in float32."""
    from pipeline.networks import backend

    if "keras" not in sys.modules:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # there, TensorFlow rounds what it multiplies to TF32
        backend.start(threads)
    from pipeline.colorize import runtimes
    from pipeline.embedding import of_run
    from pipeline.networks import saving

    with backend.policy("float32"):
        network = runtimes.in_float32(saving.load(ResultFiles(run).model))
        return network, of_run.load(run, record, weights, stored(names_of(network)))


@dataclass(frozen=True)
class _Case:
    """A batch, and what Keras answers.

    Attributes:
        lightness: L (n, H, W) uint8.
        embedded: outputs of the embedding network, by name.
        ab: (n, H, W, 2) float32.
    """

    lightness: UInt8
    embedded: dict[str, Float32]
    ab: Float32


def sample() -> tuple[list[str], UInt8]:
    """Names and L (`PHOTOGRAPHS`, 224, 224) of sample photographs, spread evenly over all of them."""
    source = open_source(schema.SampleSource(), limit=None, scratch=Path())
    chosen = np.linspace(0, source.n - 1, PHOTOGRAPHS).round().astype(int).tolist()
    names = [source.info(row, row + 1)[0].id for row in chosen]
    return names, np.concatenate([source.read(row, row + 1)[0] for row in chosen])


def _cases(network: Any, embed: Any, lightness: UInt8) -> Iterator[_Case]:
    """The photographs two by two, then each cut to a size that `MULTIPLE` does not divide."""
    whole = [lightness[start : start + 2] for start in range(0, len(lightness), 2)]
    height, width = CUT
    for batch in (*whole, *(each[None, -height:, :width] for each in lightness)):
        embedded = {} if embed is None else embed(batch)
        rows, columns = batch.shape[1:]
        yield _Case(batch, embedded, predict(network, ImageBatch(prepare.padded(batch), embedded))[:, :rows, :columns])


def _check(cases: list[_Case], answer: Any, form: Form) -> dict[str, Any]:
    """How far a runtime's answers are from Keras'."""
    largest: list[float] = []
    losses: dict[tuple[int, ...], list[float]] = {}
    for case in cases:
        given: dict[str, Any] = {"lightness": case.lightness}
        if form.embedding_is_input:
            given |= case.embedded
        found = answer(**given)
        if (found.shape, found.dtype) != (case.ab.shape, case.ab.dtype):
            raise InputError(
                f"--to {form.target}: expected answers {case.ab.shape} {case.ab.dtype}, received {found.shape} "
                f"{found.dtype}; nothing is kept; export to another runtime"
            )
        largest.append(float(np.abs(found - case.ab).max()))
        pictures = [lab.decode(case.lightness, ab) for ab in (found, case.ab)]
        losses.setdefault(case.lightness.shape[1:], []).extend(metrics.ciede2000_of_lab(*pictures).tolist())
    lossy = form.precision != "float32"
    return {
        "against": "Keras on TensorFlow, float32, on the CPU",
        "sizes": [list(size) for size in losses],
        "largest_difference": float(np.max(largest)),
        "ciede2000": [float(np.mean(loss)) for loss in losses.values()],
        "tolerance": {"ciede2000": LARGEST_LOSS} if lossy else {"largest_difference": LARGEST_DIFFERENCE},
    }


def _refuse_different(path: Path, check: Mapping[str, Any]) -> None:
    for measure, tolerance in check["tolerance"].items():
        found = float(np.max(check[measure]))
        if not found <= tolerance:  # what is no number is not either
            raise InputError(
                f"{path}: expected answers within {tolerance:g} of Keras' ({measure}), received {found:.4g}; nothing "
                "is kept; export with another --precision or to another runtime"
            )


def _made_from(
    run: Path, record: Mapping[str, Any], form: Form, outputs: Mapping[str, tuple[int, ...]]
) -> dict[str, Any]:
    none = record["embedding"]["weights"] == "none"
    given = {"lightness": "(batch, H, W) uint8: L in 8-bit units, 0..255, of any height and width"}
    if form.embedding_is_input:
        for name, shape in outputs.items():
            kind = record["embedding"]["activation"] if name == VECTOR else name
            given[name] = f"(batch, {', '.join(map(str, shape))}) float32: {kind} of the embedding network"
    packages = PACKAGES[form.target].values()
    model = ResultFiles(run).model
    return {
        "run": record["run"],
        "target": form.target,
        "precision": form.precision,
        "embedding": "none" if none else "input" if form.embedding_is_input else "inside",
        "inputs": given,
        "outputs": {"ab": "(batch, H, W, 2) float32: a and b in 8-bit units, 128 is neutral; 0 or more, not clipped"},
        "made_from": {
            "fingerprints": record.get("fingerprints", {}),
            "network": {model.name: files.digest_file(model)},
            "embedding_network": record["embedding"] | (record.get("embedding_weights") or {}),
        },
        "versions": {**versions.versions(networks=True), **{name: version(name) for name in packages}},
    }
