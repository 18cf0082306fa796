"""Answers, receipts and messages as bytes and back: JSON with the class's name under `_`, deflated when large.

Only classes named here come to life again. Fields an older or newer version does not know are left out.
"""

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, TypeVar, cast

from pydantic_core import to_json

from providers.errors import ModelNotFound
from providers.types import (
    Answer,
    Image,
    Message,
    ModelCard,
    Reasoning,
    Request,
    Stream,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)

from ..types import Attempt, ContextUse, Deployment, Exclusion, Reason, Receipt

LARGE = 2048


@dataclass(frozen=True, slots=True)
class Turn:
    """What a caller said in one turn of a conversation."""

    messages: tuple[Message, ...]


_CLASSES: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        *(Answer, Attempt, ContextUse, Exclusion, Image, Message, Reason, Reasoning, Receipt, Text, ToolCall),
        *(ToolResult, Turn, Usage),
    )
}
_FIELDS = {kind: tuple((f.name, f.default) for f in fields(kind)) for kind in _CLASSES.values()}
# All fields of a value at once. A class with one field would give it bare.
_VALUES: dict[type[Any], Callable[[Any], Any]] = {
    kind: attrgetter(*(name for name, _ in known)) for kind, known in _FIELDS.items() if len(known) > 1
}
_SIMPLE = frozenset((str, int, float, bool, type(None)))
T = TypeVar("T")


def pack(value: object) -> bytes:
    """The bytes of a value made of the classes above, tuples, strings and numbers."""
    plain = _plain(value)
    try:
        data = to_json(plain, inf_nan_mode="constants")
    except ValueError:  # a lone surrogate: it becomes "?"
        data = json.dumps(plain, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    return _deflated(data)


class Packed:
    """Values with their bytes, for whoever stores one of them again: `of` packs only what is new to it."""

    __slots__ = ("_known",)

    def __init__(self, *values: object) -> None:
        self._known = [(value, pack(value)) for value in values]

    def of(self, value: object) -> bytes:
        """The bytes of this very value."""
        for known, data in self._known:
            if known is value:
                return data
        return pack(value)


def joined(*packed: bytes) -> bytes:
    """The bytes of a tuple, from those of its items."""
    return _deflated(b"[" + b",".join(map(_inflated, packed)) + b"]")


def unpack(data: bytes, kind: type[T]) -> T | None:
    """The value, or None where the bytes are damaged or something else."""
    try:
        value: Any = json.loads(_inflated(data), object_hook=_revive)
    except (ValueError, TypeError, zlib.error):
        return None
    value = _frozen(value)
    return value if isinstance(value, kind) else None


def _deflated(data: bytes) -> bytes:
    return b"z" + zlib.compress(data, 1) if len(data) > LARGE else b"j" + data


def _inflated(data: bytes) -> bytes:
    return zlib.decompress(data[1:]) if data[:1] == b"z" else data[1:]


def _plain(value: Any) -> Any:
    kind = cast("type[Any]", type(value))
    if kind in _SIMPLE:
        return value
    if (known := _FIELDS.get(kind)) is None:
        return _unclassed(value)
    plain: dict[str, Any] = {"_": kind.__name__}
    values = _VALUES[kind](value) if kind in _VALUES else (getattr(value, known[0][0]),)
    for (name, default), item in zip(known, values, strict=True):
        if item is not default and item != default:
            plain[name] = item if type(item) in _SIMPLE else _plain(item)
    return plain


def _unclassed(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in cast("Sequence[Any]", value)]
    if isinstance(value, Deployment):
        return {"_": "Deployment", "name": [value.provider, value.model, value.endpoint, value.region]}
    if isinstance(value, bytes):
        return {"_": "bytes", "b64": b64encode(value).decode()}
    if isinstance(value, str | int | float):
        return value
    raise TypeError(f"{type(value).__name__} has no place in a record")


def _revive(plain: dict[str, Any]) -> Any:
    name = plain.pop("_", None)
    if name == "bytes":
        return b64decode(plain["b64"])
    if name == "Deployment":
        provider, model, endpoint, region = plain["name"]
        return Deployment(provider, model, endpoint, ModelCard(model), None, Remembered(), region=region)
    kind = _CLASSES.get(str(name))
    if kind is None:
        raise ValueError(f"{name} is no class of a record")
    known = {field for field, _ in _FIELDS[kind]}
    return kind(**{key: _frozen(value) for key, value in plain.items() if key in known})


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in cast("list[Any]", value)) if isinstance(value, list) else value


class Remembered:
    """The provider of a deployment read back from a receipt: it can be named, not asked."""

    def open(self, request: Request, model: str) -> AbstractAsyncContextManager[Stream]:
        """Raise ModelNotFound."""
        del request
        raise ModelNotFound(f"{model} is a memory of an earlier receipt, not a deployment")
