"""Disks to fill and to cut the power of; both need root, and a test that is skipped says so."""

import filecmp
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 # fixed programs, paths of the test
        [str(word) for word in command], check=False, capture_output=True, text=True
    )


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount a disk of so many megabytes in memory; skips the test where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        pytest.skip("a disk that fills up is a tmpfs, and mounting one needs root")
    mounted = _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        _run("umount", "-l", folder)


def resize(folder: Path, megabytes: int) -> None:
    """Give a small disk another size."""
    _run("mount", "-o", f"remount,size={megabytes}m", folder)


class CutDisk:
    """An ext4 file system in a file: `cut` is what a power cut leaves of it."""

    def __init__(self, image: Path, folder: Path) -> None:
        self._image = image
        self.folder = folder

    def cut(self, copy: Path, folder: Path) -> None:
        """Mount at a folder what is on the disk now; call it while nobody writes.

        The copy is taken until two of them are the same: the kernel may write back meanwhile.
        """
        for _ in range(20):
            shutil.copyfile(self._image, copy)
            if filecmp.cmp(self._image, copy, shallow=False):
                break
            time.sleep(0.05)
        folder.mkdir(exist_ok=True)
        mounted = _run("mount", "-o", "loop", copy, folder)
        assert mounted.returncode == 0, mounted.stderr


@contextmanager
def cut_disk(root: Path, megabytes: int = 64) -> Iterator[CutDisk]:
    """Make and mount such a disk; skips the test where that is not allowed."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("a power cut is a copy of a loop device with ext4, which needs root")
    image, folder = root / "disk.img", root / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(megabytes * 2**20)
    _run("mkfs.ext4", "-q", "-F", image)
    mounted = _run("mount", "-o", "loop", image, folder)
    if mounted.returncode:
        pytest.skip(f"no loop device can be mounted here: {mounted.stderr.strip()}")
    try:
        yield CutDisk(image, folder)
    finally:
        _run("umount", "-l", folder)


def unmount(folder: Path) -> None:
    """Take a mounted copy away."""
    _run("umount", "-l", folder)
