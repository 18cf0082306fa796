"""`POST /v1/responses`, inbound: a body in, a `Request` out. Source: openai 3.52 `types/responses`.

A response's id is an answer's id of ours, so `previous_response_id` continues a conversation; nothing more is stored.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from providers.types import Effort, Image, Message, Part, Request, Text, ToolCall, ToolResult
from server.tools.dialogue import picture

from .bodies import BadField, Body, Function, Named, Piece, refuse
from .chat import JSON, tool

PREFIX = "resp_"
_UNSUPPORTED: dict[str, tuple[Any, ...]] = {
    "background": (False,),
    "conversation": (),
    "prompt": (),
    "top_logprobs": (0,),
    "max_tool_calls": (),
}


class TextPart(Piece):
    """Text, said to or by the model."""

    type: Literal["input_text", "output_text", "text"]
    text: str


class RefusalPart(Piece):
    """What a model said in refusing."""

    type: Literal["refusal"]
    refusal: str


class ImagePart(Piece):
    """A picture by URL; files are not kept here."""

    type: Literal["input_image"]
    image_url: str


Content = Annotated[TextPart | ImagePart | RefusalPart, Field(discriminator="type")]


class MessageItem(Piece):
    """A turn of the dialogue."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[Content]


class CallItem(Piece):
    """A call the model made."""

    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str = "{}"


class OutputItem(Piece):
    """What the function answered."""

    type: Literal["function_call_output"]
    call_id: str
    output: str | list[Content]


class ThoughtItem(Piece):
    """Reasoning of an earlier turn: passed over, only its provider could read it back."""

    type: Literal["reasoning"]


Item = CallItem | OutputItem | ThoughtItem | MessageItem


class FunctionTool(Function):
    """A tool that is a function: the only kind every provider has."""

    type: Literal["function"]


class ChosenTool(Named):
    """The one function that must be called."""

    type: Literal["function"]


class Format(Piece):
    """`text.format`."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None


class TextOptions(Piece):
    """`text`; `verbosity` is one provider's."""

    format: Format | None = None


class Thinking(Piece):
    """`reasoning`."""

    effort: Effort | None = None


class ResponsesBody(Body):
    """The body."""

    input: str | Annotated[list[Item], Field(min_length=1, max_length=4096)]
    instructions: str | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    previous_response_id: Annotated[str, Field(max_length=128)] | None = None
    tools: Annotated[list[FunctionTool], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ChosenTool | None = None
    text: TextOptions | None = None
    reasoning: Thinking | None = None


def request(body: ResponsesBody) -> Request:
    """What a model shall be told. Raises InvalidRequest."""
    refuse(body, _UNSUPPORTED)
    items: list[Item] = [MessageItem(role="user", content=body.input)] if isinstance(body.input, str) else body.input
    told = [item for item in items if isinstance(item, MessageItem) and item.role in ("system", "developer")]
    messages = tuple(_merged([item for item in items if item not in told]))
    if not messages:
        raise BadField("input", "There is nothing to answer: all of `input` is instructions.", "Add a user message.")
    return Request(
        messages=messages,
        system="\n\n".join([*([body.instructions] if body.instructions else []), *map(_plain, told)]),
        max_tokens=body.max_output_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        schema=_schema(body.text.format if body.text else None),
        tools=tuple(tool(each) for each in body.tools or ()),
        tool_choice=_choice(body),
        parallel_tools=body.parallel_tool_calls is not False,
        reasoning=body.reasoning.effort if body.reasoning else None,
        prompt_cache_key=body.prompt_cache_key,
    )


def conversation(body: ResponsesBody) -> str | None:
    """The thread this goes on with."""
    return (body.previous_response_id or "").removeprefix(PREFIX) or None


def _merged(items: list[Item]) -> Iterator[Message]:
    """Messages of a dialogue: what one side says in several items is one turn."""
    names = {item.call_id: item.name for item in items if isinstance(item, CallItem)}
    turn: Message | None = None
    for item in items:
        said = _message(item, names)
        if said is None:
            continue
        if turn is not None and turn.role == said.role and said.role != "user":
            turn = Message(turn.role, turn.parts + said.parts)
            continue
        if turn is not None:
            yield turn
        turn = said
    if turn is not None:
        yield turn


def _message(item: Item, names: dict[str, str]) -> Message | None:
    match item:
        case MessageItem():
            return Message("assistant" if item.role == "assistant" else "user", _parts(item.content))
        case CallItem():
            return Message("assistant", (ToolCall(item.call_id, item.name, item.arguments),))
        case OutputItem():
            return Message("tool", (ToolResult(item.call_id, _text(item.output), names.get(item.call_id, "")),))
        case ThoughtItem():
            return None


def _parts(content: str | list[Content]) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Text(content),) if content else ()
    return tuple(_part(part) for part in content)


def _part(part: TextPart | ImagePart | RefusalPart) -> Text | Image:
    match part:
        case TextPart():
            return Text(part.text)
        case RefusalPart():
            return Text(part.refusal)
        case ImagePart():
            return picture(part.image_url)


def _plain(item: MessageItem) -> str:
    return _text(item.content)


def _text(content: str | list[Content]) -> str:
    parts = _parts(content)
    if any(isinstance(part, Image) for part in parts):
        raise BadField("input", "A picture stands where only text is read.", "Send pictures in user messages.")
    return "".join(part.text for part in parts if isinstance(part, Text))


def _schema(wanted: Format | None) -> dict[str, Any] | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_schema" and wanted.schema_ is None:
        raise BadField("text.format.schema", "`schema` is missing.", "Add the JSON Schema.")
    return wanted.schema_ or dict(JSON)


def _choice(body: ResponsesBody) -> str:
    chosen = body.tool_choice
    if not isinstance(chosen, ChosenTool):
        return chosen or "auto"
    if all(each.name != chosen.name for each in body.tools or ()):
        raise BadField("tool_choice", "`tool_choice` names a function that is not among `tools`.")
    return chosen.name
