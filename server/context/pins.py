"""What was approved: digests of upstream definitions, kept in the data folder. A change means "ask the user again".

The first definition seen is approved, as SSH does with host keys; an entry the user edited is a new one.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast


def digest(definition: Any) -> str:
    """Of a definition as plain JSON."""
    return hashlib.sha256(json.dumps(definition, sort_keys=True, default=str).encode()).hexdigest()[:32]


class Pins:
    """The file of approvals. Read when first needed; written whole, atomically."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def changed(self, upstream: str, definitions: Mapping[str, str]) -> tuple[str, ...]:
        """Names whose digest is not the approved one. What was never seen is approved now; by a damaged file, nothing."""
        known = self._read()
        if known is None:
            return tuple(definitions)
        pinned = known.setdefault(upstream, {})
        fresh = {name: found for name, found in definitions.items() if name not in pinned}
        if fresh:
            pinned.update(fresh)
            self._write(known)
        return tuple(name for name, found in definitions.items() if pinned[name] != found)

    def forget(self, server: str) -> bool:
        """Approve whatever comes next from this server; whether anything was pinned."""
        known = self._read() or {}
        kept = {name: pinned for name, pinned in known.items() if name.partition("#")[0] != server}
        self._write(kept)
        return len(kept) < len(known)

    def _read(self) -> dict[str, dict[str, str]] | None:
        try:
            found: Any = json.loads(self._file.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            return None
        return cast("dict[str, dict[str, str]]", found) if isinstance(found, dict) else None

    def _write(self, known: Mapping[str, Mapping[str, str]]) -> None:
        written(self._file, json.dumps(known, indent=1, sort_keys=True).encode())


def written(file: Path, content: bytes) -> None:
    """Write a file of the user's own, readable by nobody else, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as sink:
            sink.write(content)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
