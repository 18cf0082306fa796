"""Files that hold secrets: private to their user, written whole or not at all."""

import os
import stat
import sys
import tempfile
from pathlib import Path

from .faults import VaultFault

LARGEST = 4 << 20  # bytes; a vault of thousands of keys is smaller


def read_private(path: Path) -> bytes:
    """The content. Raises VaultFault where others can read it too, it is no plain file, or it is absurdly large."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe must not hold us up
    try:
        descriptor = os.open(path, flags)
    except OSError as fault:
        raise VaultFault(f"{path} cannot be read ({fault.strerror}).", "It must be a plain file of yours.") from None
    try:
        _insist(path, os.fstat(descriptor))
        content = b"".join(iter(lambda: os.read(descriptor, 1 << 16), b""))
    finally:
        os.close(descriptor)
    return content


def _insist(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
        raise VaultFault(f"{path} is not a plain file of a vault's size.", "Move it away, and set the keys anew.")
    if sys.platform == "win32":
        return  # no modes there: the profile's folder is private by its access list
    if found.st_mode & 0o077:
        raise VaultFault(f"{path} can be read by other users.", f"Run: chmod 600 {path}")
    if found.st_uid != os.geteuid():
        raise VaultFault(f"{path} belongs to another user.", "Move it away, and set the keys anew.")


def write_private(path: Path, content: bytes) -> None:
    """Put the content there atomically, 0600, on the disk when this returns. Raises VaultFault."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes it 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
        _sync(path.parent)
    except OSError as fault:
        raise VaultFault(f"{path} cannot be written ({fault.strerror}).", "Make its folder writable.") from None


def _sync(folder: Path) -> None:
    if sys.platform == "win32":
        return  # a folder cannot be opened there; the rename is journalled
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
