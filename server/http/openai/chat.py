"""`POST /v1/chat/completions`, inbound: a body in, a `Request` out. Source: openai 3.52 `types/chat`."""

from typing import Annotated, Any, Literal

from pydantic import Field

from providers.types import Effort, Image, Message, Part, Request, Text, Tool, ToolCall, ToolResult
from server.tools.dialogue import picture

from .bodies import BadField, Body, Function, Named, Piece, refuse

# What would change the answer and is not to be had from every provider, with the values that ask for nothing.
_UNSUPPORTED: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "audio": (),
    "modalities": (["text"],),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "web_search_options": (),
    "logit_bias": ({},),
}
JSON = {"type": "object"}  # what `json_object` promises


class TextPart(Piece):
    """Text of a message."""

    type: Literal["text"]
    text: str


class RefusalPart(Piece):
    """What an assistant said in refusing."""

    type: Literal["refusal"]
    refusal: str


class ImageUrl(Piece):
    """Where a picture is."""

    url: str


class ImagePart(Piece):
    """A picture; `detail` is the provider's business."""

    type: Literal["image_url"]
    image_url: ImageUrl


ContentPart = Annotated[TextPart | ImagePart | RefusalPart, Field(discriminator="type")]


class CalledFunction(Piece):
    """The function an assistant called."""

    name: str
    arguments: str = "{}"


class CallPart(Piece):
    """A call an assistant made."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class Turn(Piece):
    """A message. `reasoning_content` is passed over: without its provider's signature nobody takes it back."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[ContentPart] | None = None
    tool_calls: list[CallPart] | None = None
    tool_call_id: str = ""


class FunctionTool(Piece):
    """A tool that is a function: the only kind every provider has."""

    type: Literal["function"]
    function: Function


class ChosenTool(Piece):
    """The one function that must be called."""

    type: Literal["function"]
    function: Named


class SchemaFormat(Named):
    """A schema with its name."""

    schema_: Annotated[dict[str, Any], Field(alias="schema")] = Field(default_factory=lambda: dict(JSON))


class Format(Piece):
    """`response_format`."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: SchemaFormat | None = None


class StreamOptions(Piece):
    """What a stream shall hold besides the answer."""

    include_usage: bool = False


class ChatBody(Body):
    """The body."""

    messages: Annotated[list[Turn], Field(min_length=1, max_length=4096)]
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    seed: int | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    tools: Annotated[list[FunctionTool], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ChosenTool | None = None
    response_format: Format | None = None
    reasoning_effort: Effort | None = None
    stream_options: StreamOptions | None = None


def request(body: ChatBody) -> Request:
    """What a model shall be told. Raises InvalidRequest."""
    refuse(body, _UNSUPPORTED)
    spoken = [turn for turn in body.messages if turn.role not in ("system", "developer")]
    if not spoken:
        raise BadField("messages", "There is nothing to answer: all messages are instructions.", "Add a user message.")
    names = {call.id: call.function.name for turn in spoken for call in turn.tool_calls or ()}
    instructions = [_plain(turn) for turn in body.messages if turn.role in ("system", "developer")]
    return Request(
        messages=tuple(_message(turn, names) for turn in spoken),
        system="\n\n".join(instructions),
        max_tokens=body.max_completion_tokens or body.max_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        seed=body.seed,
        frequency_penalty=body.frequency_penalty,
        presence_penalty=body.presence_penalty,
        stop=(body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ()),
        schema=_schema(body.response_format),
        tools=tuple(tool(each.function) for each in body.tools or ()),
        tool_choice=_choice(body),
        parallel_tools=body.parallel_tool_calls is not False,
        reasoning=body.reasoning_effort,
        prompt_cache_key=body.prompt_cache_key,
    )


def tool(function: Function) -> Tool:
    """A function as providers are told of it; one without parameters takes none."""
    return Tool(function.name, function.description or "", function.parameters or {"type": "object", "properties": {}})


def _message(turn: Turn, names: dict[str, str]) -> Message:
    if turn.role == "tool":
        return Message("tool", (ToolResult(turn.tool_call_id, _plain(turn), names.get(turn.tool_call_id, "")),))
    calls = (ToolCall(call.id, call.function.name, call.function.arguments) for call in turn.tool_calls or ())
    role = "assistant" if turn.role == "assistant" else "user"
    return Message(role, (*_parts(turn), *calls))


def _parts(turn: Turn) -> tuple[Part, ...]:
    if isinstance(turn.content, list):
        return tuple(_part(part) for part in turn.content)
    return (Text(turn.content),) if turn.content else ()


def _part(part: TextPart | ImagePart | RefusalPart) -> Text | Image:
    match part:
        case TextPart():
            return Text(part.text)
        case RefusalPart():
            return Text(part.refusal)
        case ImagePart():
            return picture(part.image_url.url)


def _plain(turn: Turn) -> str:
    parts = _parts(turn)
    if any(isinstance(part, Image) for part in parts):
        raise BadField("messages", f"A {turn.role} message holds a picture.", "Send pictures in user messages.")
    return "".join(part.text for part in parts if isinstance(part, Text))


def _schema(wanted: Format | None) -> dict[str, Any] | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return dict(JSON)
    if wanted.json_schema is None:
        raise BadField("response_format.json_schema", "`json_schema` is missing.", "Add {name, schema}.")
    return wanted.json_schema.schema_


def _choice(body: ChatBody) -> str:
    chosen = body.tool_choice
    if not isinstance(chosen, ChosenTool):
        return chosen or "auto"
    if all(each.function.name != chosen.function.name for each in body.tools or ()):
        raise BadField("tool_choice", "`tool_choice` names a function that is not among `tools`.")
    return chosen.function.name
