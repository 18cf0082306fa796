"""The upstreams' file, edited: one entry added, removed or switched; what else stands there is kept."""

import json
from pathlib import Path
from typing import Any, cast

from .pins import written
from .upstreams import fault_of, read


def put(file: Path, name: str, entry: dict[str, Any]) -> None:
    """Write an entry. Raises ConfigFault for a file that is none, ValueError for an entry that is wrong."""
    if fault := fault_of(name, entry):
        raise ValueError(fault)
    document, entries = _document(file)
    entries[name] = entry
    _write(file, document)


def drop(file: Path, name: str) -> bool:
    """Take an entry out; whether it was there."""
    document, entries = _document(file)
    there = entries.pop(name, None) is not None
    if there:
        _write(file, document)
    return there


def switch(file: Path, name: str, *, on: bool) -> bool:
    """Enable or disable an entry; whether it is there."""
    document, entries = _document(file)
    if name not in entries:
        return False
    entries[name].pop("disabled", None)
    if not on:
        entries[name]["disabled"] = True
    _write(file, document)
    return True


def _document(file: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    read(file)  # raises what is wrong with it
    document: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    key = "servers" if "servers" in document and "mcpServers" not in document else "mcpServers"
    return document, cast("dict[str, dict[str, Any]]", document.setdefault(key, {}))


def _write(file: Path, document: dict[str, Any]) -> None:
    written(file, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())
