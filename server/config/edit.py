"""Changing budgets in the user's file without touching anything else in it: one line each, checked before it is written."""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .load import find
from .world import World

KEYS = {"day": "daily_usd", "month": "monthly_usd"}


class Uneditable(Exception):
    """The file cannot be changed safely; the message says what to do by hand."""


def written(world: World, budgets: Mapping[str, tuple[str, float]]) -> Path:
    """Write budgets, keyed by scope, as (period, USD) into the user's file; the file. Raises Uneditable."""
    file = find(world.config, world.environment, world.folders)
    if file is None:
        raise Uneditable("there is no configuration file yet: run `plenum init`, then add the budgets")
    text = file.read_text(encoding="utf-8")
    for scope, (period, usd) in budgets.items():
        text = changed(text, path_of(scope), KEYS[period], usd)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.replace(file)  # atomic: a reader sees the old file or the new one
    return file


def path_of(scope: str) -> tuple[str, ...]:
    """Where a scope's budget stands in the file."""
    kind, _, name = scope.partition(":")
    return ("providers", name) if kind == "provider" else ("budget", f"{kind}s", name)


def changed(text: str, table: tuple[str, ...], key: str, value: float) -> str:
    """The text with `key` of `table` set to `value`, everything else as it was. Raises Uneditable."""
    before, lines = tomllib.loads(text), text.splitlines(keepends=True)
    header = next((at for at, line in enumerate(lines) if _header(line) == table), None)
    if header is None:
        raise Uneditable(
            f"[{'.'.join(table)}] is not a table of its own in plenum.toml: set {key} = {value:g} there by hand."
        )
    end = next((at for at in range(header + 1, len(lines)) if lines[at].lstrip().startswith("[")), len(lines))
    pattern = re.compile(rf"^(\s*{key}\s*=\s*)([0-9_.eE+-]+)")
    at = next((at for at in range(header + 1, end) if pattern.match(lines[at])), None)
    if at is None:
        lines.insert(header + 1, f"{key} = {value:g}\n")
    else:
        lines[at] = pattern.sub(rf"\g<1>{value:g}", lines[at])
    after = "".join(lines)
    if tomllib.loads(after) != _with(before, table, key, value):
        raise Uneditable(
            f"plenum.toml is written in a way that cannot be edited safely: set {key} = {value:g} in [{'.'.join(table)}]."
        )
    return after


def _header(line: str) -> tuple[str, ...] | None:
    found = re.match(r"\s*\[([^\[\]]+)\]\s*(#.*)?$", line)
    if found is None:
        return None
    try:
        nested: Any = tomllib.loads(f"[{found[1]}]")
    except tomllib.TOMLDecodeError:
        return None
    path: list[str] = []
    while nested:
        ((name, nested),) = nested.items()
        path.append(name)
    return tuple(path)


def _with(data: dict[str, Any], table: tuple[str, ...], key: str, value: float) -> dict[str, Any]:
    if not table:
        return {**data, key: float(f"{value:g}") if "." in f"{value:g}" else int(f"{value:g}")}
    name, *rest = table
    return {**data, name: _with(data.get(name, {}), tuple(rest), key, value)}
