"""The memory that a process has freed."""

import ctypes
import sys

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
