"""Reading requests leniently: what has the wrong type is taken as absent. The simulator judges no request."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...types import Effort, Image, Message, Part, Role, Text, Tool

EFFORTS: Mapping[str, Effort] = {
    name: name  # type: ignore[dict-item]
    for name in ("none", "minimal", "low", "medium", "high", "xhigh", "max")
}


def table(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def rows(value: Any) -> Sequence[Mapping[str, Any]]:
    return [table(each) for each in cast("list[Any]", value)] if isinstance(value, list) else []


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def texts(value: Any) -> tuple[str, ...]:
    """A list of strings, or one string."""
    if isinstance(value, str):
        return (value,)
    return tuple(each for each in cast("list[Any]", value) if isinstance(each, str)) if isinstance(value, list) else ()


def whole_number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def parts(content: Any) -> tuple[Part, ...]:
    """Message content: a string, or typed parts whose text sits under `text`; anything pictured counts as an image."""
    if isinstance(content, str):
        return (Text(content),)
    found: list[Part] = []
    for part in rows(content):
        if words := text(part.get("text")):
            found.append(Text(words))
        elif "image" in text(part.get("type")):
            found.append(Image("image/png", data=b""))
    return tuple(found)


def spoken(content: Any) -> str:
    """The text of message content."""
    return "".join(part.text for part in parts(content) if isinstance(part, Text))


def turn(role: str, content: Sequence[Part]) -> Message:
    known: dict[str, Role] = {"user": "user", "assistant": "assistant", "model": "assistant", "tool": "tool"}
    return Message(known.get(role, "user"), tuple(content))


def tool(entry: Mapping[str, Any], schema: str = "parameters") -> Tool:
    return Tool(text(entry.get("name")), text(entry.get("description")), table(entry.get(schema)))


def json_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def event(body: Any, name: str = "") -> bytes:
    """One server-sent event."""
    data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return (b"event: " + name.encode() + b"\n" if name else b"") + b"data: " + data + b"\n\n"
