"""Locks the kernel drops when their process dies, however it dies: the one module that knows flock and its Windows kin.

A fork without exec keeps them alive; Python's own descriptors are not inherited across exec. The Windows branch
(`msvcrt.locking` on the first byte) follows the documentation and has not been run.
"""

import os
import sys
import time
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _try(descriptor: int) -> bool:
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _wait(descriptor: int) -> None:
        while not _try(descriptor):
            time.sleep(0.002)

    def _drop(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _wait(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    def _drop(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


TOUCH_S = 10.0


def taken(descriptor: int) -> bool:
    """Whether this open file is now ours alone: until it is closed, or its process dies."""
    return _try(descriptor)


class FileLock:
    """An exclusive lock on a file of its own, 0600. Raises OSError where the file cannot be made."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)

    def __enter__(self) -> "FileLock":
        _wait(self._descriptor)
        return self

    def __exit__(self, *_: object) -> None:
        _drop(self._descriptor)

    def close(self) -> None:
        """Close the file, which also drops the lock. A second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Owner:
    """One process as an owner of rows: a locked file named by `id`, and a way to see whether others still live."""

    def __init__(self, folder: Path, id: str) -> None:  # noqa: A002
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.id = id
        self._folder = folder
        self._lock = FileLock(folder / id)
        self._lock.__enter__()
        self._touched = 0.0
        os.utime(folder / id, (0, 0))  # alive, not at work yet

    def lives(self, owner: str) -> bool:
        """Whether the process behind `owner` still holds its lock."""
        try:
            descriptor = os.open(self._folder / owner, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            return not _try(descriptor)
        finally:
            os.close(descriptor)

    def touch(self) -> None:
        """Say that this process is at work; now and then is enough."""
        now = time.monotonic()
        if now - self._touched > TOUCH_S:
            self._touched = now
            os.utime(self._folder / self.id)

    def busy(self, since: float) -> int:
        """How many processes live and were at work since then (seconds since the epoch); this one always counts."""
        others = [entry for entry in os.scandir(self._folder) if entry.name != self.id]
        return 1 + sum(self._worked(entry, since) and self.lives(entry.name) for entry in others)

    def _worked(self, entry: "os.DirEntry[str]", since: float) -> bool:
        try:
            return entry.stat().st_mtime >= since
        except FileNotFoundError:
            return False

    def bury(self, owner: str) -> None:
        """Remove the file of a dead owner."""
        (self._folder / owner).unlink(missing_ok=True)

    def close(self) -> None:
        """Give up being alive: what is still open becomes anybody's to reclaim."""
        self.bury(self.id)
        self._lock.close()
