"""The dialogue a caller sends, as turns for a provider."""

import base64
import binascii
import re
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from providers.types import Image, Message, Part, Text, ToolCall, ToolResult
from routing.errors import InvalidRequest
from server.mcp.exact import Arguments

_DATA_URL = re.compile(r"data:(image/[a-z0-9.+-]{1,40});base64,", re.IGNORECASE)
_OBJECTS = {"type": "array", "items": {"type": "object"}}
LONGEST_IMAGE = 6 << 20  # bytes; a stdio line has 8 MiB


class Function(Arguments):
    """A function the model may call."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict[str, Any])


class Call(Arguments):
    """A call an assistant turn made."""

    id: str
    name: str
    arguments: str = "{}"


class Turn(Arguments):
    """One turn of a dialogue."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: Annotated[list[Call], WithJsonSchema(_OBJECTS)] = Field(default_factory=list[Call])
    tool_call_id: str = ""


# A dialogue where another tool says in full what one is.
LOOSE = WithJsonSchema({**_OBJECTS, "description": "As in generate"})


def turns(prompt: str, messages: list[Turn], images: list[str]) -> tuple[tuple[Message, ...], str]:
    """The turns to send and the instructions found among them. Raises InvalidRequest."""
    if bool(prompt.strip()) == bool(messages):
        raise InvalidRequest(
            "Either `prompt` or `messages` is needed, and not both.", hint='For example {"prompt": "Summarise: …"}.'
        )
    pictures = tuple(picture(url) for url in images)
    if prompt.strip():
        return (Message("user", (*pictures, Text(prompt))),), ""
    spoken = [turn for turn in messages if turn.role != "system"]
    if not spoken or spoken[-1].role == "assistant":
        raise InvalidRequest("`messages` must end with a user or tool turn.", hint="Add what to answer.")
    if spoken[-1].role == "user" and not (spoken[-1].content.strip() or pictures):
        raise InvalidRequest("The last turn of `messages` says nothing.", hint="Put what to answer into its `content`.")
    sent = [Message(turn.role, _parts(turn)) for turn in spoken]
    if pictures:
        at = max((i for i, message in enumerate(sent) if message.role == "user"), default=len(sent) - 1)
        sent[at] = Message(sent[at].role, (*pictures, *sent[at].parts))
    return tuple(sent), "\n\n".join(turn.content for turn in messages if turn.role == "system")


def _parts(turn: Turn) -> tuple[Part, ...]:
    if turn.role == "tool":
        return (ToolResult(turn.tool_call_id, turn.content),)
    text = (Text(turn.content),) if turn.content else ()
    return (*text, *(ToolCall(call.id, call.name, call.arguments) for call in turn.tool_calls))


def picture(url: str) -> Image:
    """An image from an https or data URL. Raises InvalidRequest; fetching is not done here."""
    if url.startswith("https://"):
        return Image(media_type="", url=url)
    found = _DATA_URL.match(url)
    if found is None:
        raise InvalidRequest(
            "`images` takes https URLs and data:image/…;base64 URLs.", hint="Encode the file as a data URL."
        )
    try:
        data = base64.b64decode(url[found.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest("An image's base64 is broken.", hint="Encode the file again.") from None
    if not data or len(data) > LONGEST_IMAGE:
        raise InvalidRequest(f"An image may have 1 byte to {LONGEST_IMAGE >> 20} MiB.", hint="Scale it down.")
    return Image(media_type=found[1].lower(), data=data)
