"""A Python literal (also what JSON would write): compared by value, with dictionaries and sets in one order."""

import ast
import warnings

from . import Form, Spec
from ._spans import field, stated

_MAX_CHARS = 20_000


def find(text: str, spec: Spec) -> str | None:
    """The JSON field, else what follows the last `answer is`. An empty string is an answer here."""
    del spec
    span = field(text)
    return stated(text) if span is None else span


def key(span: str, spec: Spec) -> str | None:
    """The canonical `repr`; what does not parse is a bare string."""
    del spec
    span = span.strip()
    candidates = [span, span.strip("`")]
    if "==" in span:
        candidates.append(span.partition("==")[2].strip())
    for candidate in candidates:
        parsed, value = parse(candidate)
        if parsed:
            return printed(value)
    return repr(span.strip("'\""))


def parse(text: str) -> tuple[bool, object]:
    """Whether `text` is a literal, and its value. Nothing is evaluated."""
    if len(text) > _MAX_CHARS:
        return False, None
    try:
        with warnings.catch_warnings():  # '\d' or `2cats` in a model's text is its business
            warnings.simplefilter("ignore")
            return True, ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False, None


def printed(value: object) -> str:
    """`repr` with the items of dictionaries and sets in sorted order."""
    match value:
        case dict():
            items = sorted(f"{printed(k)}: {printed(v)}" for k, v in value.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # whatever the literal holds
            return "{" + ", ".join(items) + "}"
        case set() | frozenset():
            return "{" + ", ".join(sorted(printed(item) for item in value)) + "}" if value else "set()"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case list():
            return "[" + ", ".join(printed(item) for item in value) + "]"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case tuple():
            return "(" + ", ".join(printed(item) for item in value) + ("," if len(value) == 1 else "") + ")"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case _:
            return repr(value)


form = Form(find, key, line="the literal alone")
