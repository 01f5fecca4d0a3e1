"""A disk of a few megabytes for tests, mounted in memory; only root may mount it."""

import os
import shutil
import subprocess

import pytest

from pipeline.core import files

REQUIRED = "DEEPCOLOR_REQUIRE_MOUNT"  # set to 1, a disk that cannot be mounted fails a test instead of skipping it


class Disk:
    """A file system in memory whose size can be changed."""

    def __init__(self, path):
        self.path = path
        path.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", path], capture_output=True, text=True)
        if done.returncode:
            end = pytest.fail if os.environ.get(REQUIRED) == "1" else pytest.skip
            end(f"a small disk cannot be mounted here: {done.stderr.strip() or 'mount failed'}")

    def remount(self, option):
        subprocess.run(["mount", "-o", f"remount,{option}", self.path], check=True)

    def unmount(self):
        subprocess.run(["umount", "-l", self.path], check=True)

    def used(self):
        """Used space in KiB."""
        status = os.statvfs(self.path)
        return (status.f_blocks - status.f_bfree) * status.f_frsize // 1024

    def leave(self, kib):
        """Leave that many KiB free; a tmpfs of size 0 would have no limit."""
        self.remount(f"size={max(self.used() + kib, 4)}k")

    def fill(self, folder):
        for path in self.path.iterdir():
            files.remove(path)
        shutil.copytree(folder, self.path, dirs_exist_ok=True, symlinks=True)
