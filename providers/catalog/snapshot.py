"""The bundled facts, as files of this package, each read once and only when asked for."""

import json
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, TypedDict, cast


class Snapshot(TypedDict):
    """`snapshot.json`, written by `build_snapshot.py`: where from, cards by provider and id, prices by table."""

    about: Mapping[str, str]
    cards: Mapping[str, Mapping[str, Mapping[str, Any]]]
    prices: Mapping[str, list[Mapping[str, Any]]]


@cache
def snapshot() -> Snapshot:
    """Windows, capabilities, end dates and prices (about 3 ms)."""
    return cast("Snapshot", document("snapshot.json"))


@cache
def document(name: str) -> Mapping[str, Any]:
    """A JSON object of this package."""
    return json.loads(files("providers.catalog").joinpath(name).read_bytes())


@cache
def table(name: str) -> Mapping[str, Any]:
    """A TOML table of this package."""
    return tomllib.loads(files("providers.catalog").joinpath(name).read_text(encoding="utf-8"))
