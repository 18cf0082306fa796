"""One pure file per kind of answer: where the answer stands in a text, and when two answers are the same.

A form is a module-level object named `form` in a file whose name is the kind's name. What cannot be found is None: an
abstention, never a vote. Nothing here evaluates what a model wrote. Source: guide fusion-and-routing §3, §4.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Literal

Table = Literal["open", "choice"]

MAX_CHARS = 200_000  # of a text that is searched: what is longer is no answer but a runaway, and its end counts


@dataclass(frozen=True, slots=True)
class Spec:
    """What shape of answer is wanted. `choices` are option or label texts in order, `schema` a JSON Schema."""

    kind: str
    choices: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of answer. `find` yields the span that answers, or None; `key` its canonical form, or None.

    `closed`: equal keys mean equal answers, so members can be counted. `table` names the calibration that applies:
    `choice` where answers come from a short list (chance agreement is common), else `open`. `line` is what models
    are asked to end with.
    """

    find: Callable[[str, Spec], str | None]
    key: Callable[[str, Spec], str | None]
    closed: bool = True
    table: Table = "open"
    line: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """An extracted answer: the span as written, and the key under which it is counted."""

    span: str
    key: str


@cache
def kinds() -> tuple[str, ...]:
    """Every kind of answer there is."""
    return tuple(sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_")))


@cache
def load(kind: str) -> Form:
    """The form of this kind. Raises KeyError where there is none."""
    if kind not in kinds():
        raise KeyError(kind)
    return import_module(f"{__name__}.{kind}").form


def extract(text: str, spec: Spec) -> Found | None:
    """Find the answer in `text` and make it comparable; None is an abstention."""
    form = load(spec.kind)
    span = form.find(text[-MAX_CHARS:], spec)
    if span is None:
        return None
    key = form.key(span, spec)
    return None if key is None else Found(span, key)
