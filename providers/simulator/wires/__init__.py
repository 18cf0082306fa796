"""The other end of each dialect: requests read, answers written, as the real providers do. Pure; one file per wire.

A wire is a module-level object named `wire` in a file with its dialect's name. The server finds it here by its prefix.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Literal, Protocol

from ...types import Answer, Listed, Request

Kind = Literal["chat", "embed", "list", "count"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A chat request as it came in."""

    model: str
    request: Request
    stream: bool


@dataclass(frozen=True, slots=True)
class Frames:
    """A streamed answer in bytes: what comes before the text, one frame per piece of text, and what ends it."""

    head: Sequence[bytes]
    text: Sequence[bytes]
    tail: Sequence[bytes]


class Wire(Protocol):
    """One provider's HTTP interface below `prefix`. Bodies are JSON values."""

    prefix: str
    media: str  # of a stream

    def route(self, method: str, path: str) -> Kind | None:
        """What a request to `prefix + path` wants; None where there is no such thing."""
        ...

    def asked(self, path: str, body: Mapping[str, Any]) -> Asked: ...

    def whole(self, answer: Answer) -> Any:
        """The whole answer; without a finish reason it leaves that out."""
        ...

    def frames(self, answer: Answer, parts: Sequence[str]) -> Frames:
        """The streamed answer, its text in `parts`; without a finish reason it ends where the connection does."""
        ...

    def hollow(self) -> Any:
        """A whole answer with nothing where the answer should be."""
        ...

    def failure(self, status: int, code: str) -> Any:
        """The body of an error."""
        ...


class SideWire(Protocol):
    """What a wire has beside chat, where its `route` says so."""

    def embedding(self, path: str, body: Mapping[str, Any]) -> tuple[str, Sequence[str]]:
        """The model and the texts asked for."""
        ...

    def embedded(self, path: str, model: str, vectors: Sequence[Sequence[float]], tokens: int) -> Any:
        """What `path` answers to them."""
        ...

    def listing(self, models: Sequence[Listed]) -> Any: ...

    def counted(self, tokens: int) -> Any: ...


@cache
def wires() -> Mapping[str, Wire]:
    """Every wire by the name of its dialect."""
    names = sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))
    return {name: import_module(f"{__name__}.{name}").wire for name in names}
