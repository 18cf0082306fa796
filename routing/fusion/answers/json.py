"""A JSON value: compared whole, with keys sorted, numbers as floats, parallel tool calls as a multiset.

An object or array that does not parse, or does not meet the schema, abstains.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from . import Form, Spec
from ._spans import last

_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL | re.IGNORECASE)
_OPENING = re.compile(r"[{\[]")
_DECODER = json.JSONDecoder()
_MAX_STARTS = 200  # places where a value may begin that are tried, so that "[[[[…" costs nothing


def find(text: str, spec: Spec) -> str | None:
    """The whole text, the last fenced block, else the longest value that stands in the text; valid by the schema."""
    fenced = last(_FENCED, text)
    for candidate in (text, fenced[1] if fenced else "", _longest(text)):
        value = _parsed(candidate)
        if value is not None:
            return candidate.strip() if _valid(value[0], spec.schema) else None
    return None


def _parsed(text: str) -> tuple[Any] | None:
    try:
        return (json.loads(text),)
    except (ValueError, RecursionError):
        return None


def _longest(text: str) -> str:
    best, end = "", 0
    for tried, match in enumerate(_OPENING.finditer(text)):
        if tried == _MAX_STARTS:
            break
        if match.start() < end:
            continue
        try:
            _, end = _DECODER.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        best = max(best, text[match.start() : end], key=len)
    return best


def _valid(value: Any, schema: Mapping[str, Any] | None) -> bool:
    if schema is None:
        return True
    import jsonschema

    try:
        jsonschema.validate(value, schema)
    except (jsonschema.ValidationError, jsonschema.SchemaError, RecursionError):
        return False
    return True


def key(span: str, spec: Spec) -> str | None:
    """One text for all ways to write the value."""
    del spec
    value = _parsed(span)
    return None if value is None else canonical(value[0])


def canonical(value: Any) -> str:
    """Keys sorted, numbers to nine significant digits as floats, list order kept except among parallel tool calls."""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    match value:
        case bool() | None:
            return value
        case str():
            return f"'{value}"  # so that no text passes for a number
        case int() | float():
            return f"#{float(value):.9g}" if abs(value) < 1e308 else f"#{value}"
        case dict():
            return _object(cast("dict[str, Any]", value))
        case list():
            items = [_plain(item) for item in cast("list[Any]", value)]
            return sorted(items, key=repr) if all(_is_call(item) for item in cast("list[Any]", value)) else items
        case _:
            return repr(value)


def _object(value: dict[str, Any]) -> Any:
    if _is_call(value):
        arguments = value["arguments"]
        parsed = _parsed(arguments) if isinstance(arguments, str) else None
        arguments = parsed[0] if parsed else arguments
        return {
            **{k: _plain(v) for k, v in value.items()},
            "name": _plain(value["name"].replace(".", "_")),
            "arguments": _plain(arguments),
        }
    return {k: _plain(v) for k, v in value.items()}


def _is_call(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    fields = cast("dict[str, Any]", value)
    return isinstance(fields.get("name"), str) and isinstance(fields.get("arguments"), dict | str)


form = Form(find, key, line="the JSON value alone")
