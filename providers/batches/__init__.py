"""One pure file per provider's batch endpoint: many requests handed in at once, answered within a day, for less.

A wire is a module-level object named `wire` in a file whose name is what a catalogue row or the configuration says
(`batch = "openai"`). What it asks for is written as generators of calls that are sent the JSON answers: no I/O here.
Requests and answers themselves are the provider's dialect's business.
"""

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Literal, Protocol, TypeVar

from ..dialects import Call
from ..errors import Malformed
from ..types import Progress

T = TypeVar("T")
Flow = Generator[Call, Any, T]  # yields what is to be sent, is sent what was answered, returns what it means

LATE_S = 3600.0  # clocks differ: batches made this long before we say we began may still be ours
MAX_PAGES = 20

encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True, slots=True)
class Written:
    """An item as its dialect writes it."""

    id: str
    call: Call


@dataclass(frozen=True, slots=True)
class Row:
    """An item's end as the provider tells it: a body with its HTTP status, or that it was never run."""

    id: str
    status: int = 200
    body: Any = None
    unrun: Literal["", "expired", "cancelled"] = ""


@dataclass(frozen=True, slots=True)
class Results:
    """Where the results are: here, and in files of one row a line."""

    rows: Sequence[Any] = ()
    files: Sequence[Call] = ()


class BatchWire(Protocol):
    """A provider's batch endpoint. `share` of the ordinary price is paid; `most_items`, `most_bytes` bound one batch."""

    share: float
    most_items: int
    most_bytes: int

    def submit(self, name: str, items: Sequence[Written], model: str) -> Flow[str]:
        """Hand in; returns the batch's id."""
        ...

    def find(self, name: str, items: int, since: float) -> Flow[str | None]:
        """The id of the batch called `name`."""
        ...

    def look(self, batch_id: str) -> Flow[Progress]:
        """How it stands."""
        ...

    def results(self, batch_id: str) -> Flow[Results]:
        """Where its results are, once it has ended."""
        ...

    def row(self, raw: Mapping[str, Any]) -> Row:
        """Read one result."""
        ...

    def cancel(self, batch_id: str) -> Flow[None]:
        """Stop it."""
        ...


@dataclass(frozen=True, slots=True)
class Multipart:
    """A form with one file in it (RFC 7578). `boundary` must not occur in the file."""

    boundary: str
    fields: Mapping[str, str] = field(default_factory=dict[str, str])

    def call(self, path: str, filename: str, data: bytes) -> Call:
        """The call that uploads `data` under this name."""
        edge = f"--{self.boundary}\r\n"
        head = "".join(
            f'{edge}Content-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in self.fields.items()
        )
        head += (
            f'{edge}Content-Disposition: form-data; name="file"; filename="{filename}"\r\n'
            "Content-Type: application/jsonl\r\n\r\n"
        )
        body = head.encode() + data + f"\r\n--{self.boundary}--\r\n".encode()
        return Call(path, raw=body, headers={"content-type": f"multipart/form-data; boundary={self.boundary}"})


def told(value: Any) -> str:
    """An id from the provider, safe to stand in a path. Raises Malformed."""
    text = value if isinstance(value, str) else ""
    if not text or len(text) > 200 or not all(c.isascii() and (c.isalnum() or c in "_-.") for c in text):
        raise Malformed("The provider gave a batch no id that can be used.")
    return text


@cache
def names() -> tuple[str, ...]:
    """Every batch endpoint there is a wire for."""
    return tuple(sorted(module.name for module in iter_modules(__path__)))


@cache
def load(name: str) -> BatchWire:
    """The wire of this name. Raises KeyError where there is none."""
    if name not in names():
        raise KeyError(name)
    return import_module(f"{__name__}.{name}").wire
