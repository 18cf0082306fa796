"""Reading what a provider sent without trusting it: JSON from bytes, values by type, text without lone surrogates."""

import json
import math
from typing import Any

from pydantic_core import from_json

from ..errors import Malformed

MOST_TOKENS = 10_000_000  # above this a usage figure is absurd (guide reliability-and-security §9.3)


def read_json(data: bytes) -> Any:
    """Parse JSON bytes. Raises Malformed on anything else, bad UTF-8 and deep nesting included.

    pydantic-core parses a stream event in 1.0 µs where `json.loads` takes 2.6; it refuses a byte-order mark and half a
    surrogate pair (which two deltas may share), so those go the slow way.
    """
    try:
        return from_json(data)
    except ValueError:
        return _read_slowly(data)


def _read_slowly(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise Malformed("The provider sent something that is not JSON.") from None


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if value.__class__ is dict else {}  # `isinstance` would narrow the type checker's Any


def items(value: Any) -> list[Any]:
    """The value if it is an array, else an empty one."""
    return value if value.__class__ is list else []


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of an array; anything else in it is passed over."""
    return [item for item in items(value) if item.__class__ is dict]


def string(value: Any) -> str:
    """The value if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def count(value: Any) -> int | None:
    """A number of tokens, or None if it is missing or absurd. A float must be whole (Cohere sends 12.0)."""
    if value.__class__ not in (int, float) or not 0 <= value <= MOST_TOKENS:  # a bool is neither
        return None
    return int(value) if value == int(value) else None


def amount(value: Any) -> float | None:
    """A finite number above zero, or None. Strings are read too: OpenRouter lists its prices that way."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def scrub(text: str) -> str:
    """The text with lone surrogates replaced and split pairs joined: one of them kills the stdio server (mcp 2.3)."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def dump(value: Any) -> str:
    """Tool arguments that came as a value, as the JSON text they are elsewhere. Raises Malformed if nested too deep."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        raise Malformed("The provider sent values nested too deep to read.") from None
