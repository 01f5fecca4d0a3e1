"""What this machine computes fast, found without loading a network library."""

import ctypes
import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal

Precision = Literal["float32", "mixed_bfloat16"]

BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # processors' flags, as Linux names them
CUDA = ("nvidia-cudnn-cu12", "nvidia-cudnn-cu13")  # what TensorFlow's and JAX' packages for GPUs install
CAPABILITY = 8.0  # of NVIDIA's GPUs from Ampere on


def fastest_precision() -> Precision:
    """mixed_bfloat16 where the GPU, or without one the processor, has bfloat16 arithmetic; float32 elsewhere.

    Elsewhere it is emulated: measured on AVX2 cores, a training step of base takes 15 times as long as in float32.
    """
    capabilities = _gpu_capabilities()
    fast = min(capabilities) >= CAPABILITY if capabilities else bool(processor_flags() & BFLOAT16)
    return "mixed_bfloat16" if fast else "float32"


def processor_flags() -> set[str]:
    """What the processor can do, by Linux' names; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    values = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return set(next(values, "").split())


def _gpu_capabilities() -> list[float]:
    """Compute capabilities of the GPUs that can be used: those of NVIDIA, where the packages for them are installed."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    if hidden or not any(map(_installed, CUDA)) or not (command := shutil.which("nvidia-smi")):
        return []
    query = [command, "--query-gpu=compute_cap", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)  # noqa: S603
    try:
        return [float(line) for line in done.stdout.split()]
    except ValueError:
        return []


def _installed(package: str) -> bool:
    try:
        return bool(distribution(package))
    except PackageNotFoundError:
        return False


# As in glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8


def keep_freed() -> None:
    """Have glibc keep freed memory: stages, and TensorFlow in each step, ask for the same large arrays again and again.

    What is given back to the system has to be cleared by it page by page when it is asked for again. On 2 cores, that
    takes a fourth of a training step of base, and nearly half of one of arch3. With other C libraries, nothing happens.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 2**30)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(M_ARENA_MAX, 1)  # the others, of later threads, keep no more than 64 MiB
