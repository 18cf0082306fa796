"""Text that can be sent: a model may emit half of a surrogate pair, and half a pair ends a transport; a provider may
echo the key it was asked with, and not everybody who asks may have it.
"""

from collections.abc import Iterable
from typing import Any, cast

from server.security.redaction import current

_LIST = (list, tuple)  # a union would be made anew for each value


def text(value: str) -> str:
    """`value` with each lone surrogate replaced by U+FFFD."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        # A pair written as two escapes is one character; only what stays alone is lost.
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def told(value: str) -> str:
    """`value` as anybody may see it: scrubbed, and without this process's keys."""
    return text(current().known(value))


def told_tree(value: Any) -> Any:
    """A JSON value as anybody may see it. One without anything to hide, which nearly all are, is given back as it is."""
    redactor, joined = current(), "\n".join(_strings((value,), []))
    if joined.isascii() and redactor.known(joined) is joined:
        return value
    return tree(redactor.tree(value))


def _strings(values: Iterable[Any], found: list[str]) -> list[str]:
    for value in values:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict):
            table = cast("dict[Any, Any]", value)
            found.extend(map(str, table))
            _strings(table.values(), found)
        elif isinstance(value, _LIST):
            _strings(cast("list[Any]", value), found)
    return found


def tree(value: Any) -> Any:
    """A JSON value with every string of it scrubbed, keys too."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {text(str(k)): tree(v) for k, v in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [tree(v) for v in cast("list[Any]", value)]
    return value
