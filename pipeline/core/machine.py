"""Facts about this machine, without loading a network library."""

import contextlib
import ctypes
import gc
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

Precision = Literal["float32", "mixed_bfloat16"]

BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # Linux processor flags
CUDA = ("nvidia-cudnn-cu12", "nvidia-cudnn-cu13")  # required by the GPU builds of TensorFlow and JAX
CAPABILITY = 8.0  # compute capability of NVIDIA Ampere, the first with bfloat16


def fastest_precision() -> Precision:
    """Return mixed_bfloat16 if the GPUs, or without any the processor, support bfloat16; otherwise float32.

    Emulated bfloat16 is slow: on AVX2 cores, a training step of base took 15 times as long as in float32.
    """
    capabilities = _gpu_capabilities()
    fast = min(capabilities) >= CAPABILITY if capabilities else bool(processor_flags() & BFLOAT16)
    return "mixed_bfloat16" if fast else "float32"


def processor_flags() -> set[str]:
    """Return the processor's flags as Linux names them; empty on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    values = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return set(next(values, "").split())


def _gpu_capabilities() -> list[float]:
    """Return the compute capabilities of NVIDIA GPUs, if the packages for them are installed."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    try:
        return [float(line) for line in _asked("compute_cap")] if not hidden and uses_gpus() else []
    except ValueError:
        return []


def gpus() -> list[str]:
    """Return the names of the NVIDIA GPUs."""
    return _asked("name")


def uses_gpus() -> bool:
    """Whether a network library for NVIDIA GPUs is installed."""
    return any(map(_installed, CUDA))


def _asked(what: str) -> list[str]:
    """Return a property of each NVIDIA GPU."""
    if not (command := shutil.which("nvidia-smi")):
        return []
    import subprocess  # slow to load

    query = [command, f"--query-gpu={what}", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines()  # noqa: S603


def _installed(package: str) -> bool:
    from importlib.metadata import PackageNotFoundError, distribution  # slow to load

    try:
        return bool(distribution(package))
    except PackageNotFoundError:
        return False


# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8


def keep_freed() -> None:
    """Make glibc keep freed memory, because every training step allocates the same large arrays.

    The system clears returned memory page by page before it is allocated again. On 2 cores, that takes a quarter of a
    training step of base and nearly half a step of arch3. Other C libraries are left unchanged.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 2**30)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(M_ARENA_MAX, 1)  # arenas of other threads would keep at most 64 MiB each


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Suspend garbage collection inside the block: during imports, it takes a sixth of the time and frees nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
