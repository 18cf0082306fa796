"""Where answers stand in prose, LaTeX and (broken) JSON. Pure text search; every scan is linear and bounded."""

import json
import re
from collections import deque

_DECODER = json.JSONDecoder(strict=False)
_FIELD = re.compile(r'"answer"\s*:\s*')
_LINE = re.compile(r"(?im)^[ \t>*_#]*(?:final[ \t]+)?answer[*_]*[ \t]*:[*_]*[ \t]*")
_AFTER = re.compile(r"(?i)(?:final answer|answer)\s*(?:is|:)\s*+:?\s*+(.+)")
_BOX = re.compile(r"\\boxed\s*\{")
_QUOTED = (
    re.compile(r'"((?:[^"\\]|\\.)*)"\s*[,}\n]', re.DOTALL),
    re.compile(r'"(.*?)"\s*(?:[,}]|$)', re.DOTALL),
    re.compile(r'"(.*)', re.DOTALL),
)
_GROUPED = re.compile(r"-?\$?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\d,])")
_REST = re.compile(r"([^\n]*?)\s*(?:\n|\}\s*(?:```|$)|,\s*\n|$)")


def last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """The last match of `pattern`."""
    return next(iter(deque(pattern.finditer(text), maxlen=1)), None)


def field(text: str) -> str | None:
    """The value of the last `"answer":`, however broken the JSON around it is, else of the last line `answer:`."""
    found = quoted_field(text)
    if found is not None:
        return found
    start = last(_LINE, text)
    return None if start is None else _line(text[start.end() :])


def quoted_field(text: str) -> str | None:
    """The value of the last `"answer":`, not of a mere line."""
    start = last(_FIELD, text)
    if start is None:
        return None
    rest = text[start.end() :]
    return _string(rest) if rest.startswith('"') else _value(rest)


def _line(rest: str) -> str:
    if rest.startswith('"'):
        return _string(rest)
    if rest.startswith(("[", "{")) and (value := _decoded(rest)) is not None:
        return value
    return rest.partition("\n")[0].strip().removesuffix("**").rstrip(", ")


def _decoded(rest: str) -> str | None:
    try:
        value, _ = _DECODER.raw_decode(rest)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, str) else json.dumps(value)


def _string(rest: str) -> str:
    try:
        value, _ = _DECODER.raw_decode(rest)
    except ValueError:
        return next(match[1] for pattern in _QUOTED if (match := pattern.match(rest)))
    return str(value)


def _value(rest: str) -> str | None:
    if grouped := _GROUPED.match(rest):  # 1,234 is one number to whoever wrote it, if not to JSON
        return grouped[0]
    if (value := _decoded(rest)) is not None:
        return value
    match = _REST.match(rest)
    if match is None:
        return None
    span = match[1].rstrip(", ")
    while span.endswith("}") and span.count("}") > span.count("{"):
        span = span[:-1].rstrip(", ")
    return span.removesuffix("**")


def boxed(text: str) -> str | None:
    r"""What stands in the last `\boxed{}` if its braces balance."""
    start = last(_BOX, text)
    if start is None:
        return None
    depth = 1
    for at in range(start.end(), len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return text[start.end() : at]
    return None


def stated(text: str) -> str | None:
    """The rest of the line after the last `[final] answer is` or `answer:`."""
    match = last(_AFTER, text)
    return match[1].strip().rstrip(".") if match else None
