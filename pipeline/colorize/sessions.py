"""Sessions of ONNX Runtime. This module imports little, so that a network can open while others are imported."""

import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

_begun: dict[tuple[Path, int], Future[Any]] = {}


def begin(path: Path, threads: int) -> None:
    """Begin to open an ONNX file in the background, for the next call of `opening` with the same arguments."""
    if path.is_file():
        _begun[path, threads] = ThreadPoolExecutor(1).submit(opened, path, threads)


def opening(path: Path, threads: int) -> Future[Any]:
    """Open an ONNX file in the background; see `opened`."""
    return _begun.pop((path, threads), None) or ThreadPoolExecutor(1).submit(opened, path, threads)


def opened(path: Path, threads: int) -> Any:
    """Open an ONNX file with ONNX Runtime, on the CPU and without its telemetry."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read at import; else it reports each session to Microsoft
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
