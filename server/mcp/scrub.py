"""Text that can be sent: a model may emit half of a surrogate pair, and half a pair ends a transport; a provider may
echo the key it was asked with, and not everybody who asks may have it.
"""

from typing import Any, cast

from pydantic_core import to_json

from server.security.redaction import current


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
    redactor, whole = current(), _verbatim(value)
    if whole is not None and redactor.known(whole) is whole:
        return value
    return tree(redactor.tree(value))


def _verbatim(value: Any) -> str | None:
    """The value as JSON in which each string of it stands as it is; None where one needs an escape or may need scrubbing."""
    try:
        whole = to_json(value)
    except ValueError:  # half a surrogate pair
        return None
    return whole.decode() if whole.isascii() and b"\\" not in whole else None


def tree(value: Any) -> Any:
    """A JSON value with every string of it scrubbed, keys too."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {text(str(k)): tree(v) for k, v in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [tree(v) for v in cast("list[Any]", value)]
    return value
