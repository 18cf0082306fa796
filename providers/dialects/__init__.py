"""One pure file per wire format. No I/O, no clock: bytes and mappings in, values out.

A dialect is a module-level object named `dialect` in a file whose name is its configuration name (or an entry point
of the group `plenum.dialects`). `tests/contracts/` runs one suite over every file in this folder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import Any, Literal, Protocol

from ..errors import ProviderError
from ..types import Answer, Delta, Embeddings, Listed, ModelCard, Request


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request, rendered. `path` is relative to the base URL and may carry a query; `body` is JSON."""

    path: str
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    method: Literal["POST", "GET"] = "POST"
    warnings: tuple[str, ...] = ()


class Fold(Protocol):
    """Folds what one call returned into an `Answer`. Made anew per call; the only moving part of a dialect."""

    done: bool  # the terminal event was seen: whatever follows is ignored

    def event(self, name: str, data: str) -> Sequence[Delta]:
        """Take one stream event (SSE `event:` name or "", and its data; or one NDJSON line). Raises ProviderError."""
        ...

    def whole(self, body: Any) -> Sequence[Delta]:
        """Take a whole JSON answer. Raises ProviderError."""
        ...

    def answer(self) -> Answer:
        """What stands so far; `finish_reason` is None until the provider gave one."""
        ...


class Dialect(Protocol):
    """A wire format: how a request is written, and an answer, a stream and an error are read."""

    name: str
    framing: Literal["sse", "ndjson"]

    def headers(self, key: str | None) -> Mapping[str, str]:
        """Authentication and version headers."""
        ...

    def render(self, request: Request, card: ModelCard, *, stream: bool) -> Call:
        """Write the request for the model `card.id`. What a model refuses is dropped with a warning in the call."""
        ...

    def fold(self) -> Fold:
        """Begin reading one answer."""
        ...

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """Class a non-2xx answer (or an error object inside a 200). Header names are lower case."""
        ...


class EmbedDialect(Protocol):
    """A dialect that also writes and reads embeddings."""

    def render_embed(self, texts: Sequence[str], model: str) -> Call: ...

    def parse_embed(self, body: Any) -> Embeddings: ...


class ListDialect(Protocol):
    """A dialect that also reads a model list. `next_page` is the path of the following page, or None."""

    def render_list(self) -> Call: ...

    def parse_list(self, body: Any) -> tuple[Sequence[Listed], str | None]: ...


class CountDialect(Protocol):
    """A dialect whose provider counts input tokens exactly."""

    def render_count(self, request: Request, card: ModelCard) -> Call: ...

    def parse_count(self, body: Any) -> int: ...


@cache
def names() -> tuple[str, ...]:
    """Every dialect this process can speak, built in or from an entry point."""
    built_in = [module.name for module in iter_modules(__path__) if not module.name.startswith("_")]
    return tuple(sorted({*built_in, *(entry.name for entry in entry_points(group="plenum.dialects"))}))


@cache
def load(name: str) -> Dialect:
    """The dialect of this name. Raises KeyError where there is none."""
    for entry in entry_points(group="plenum.dialects", name=name):
        return entry.load()
    if name not in names():
        raise KeyError(name)
    return import_module(f"{__name__}.{name}").dialect
