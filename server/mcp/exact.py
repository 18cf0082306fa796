"""Tools whose arguments are what was sent: nothing is parsed out of strings, nothing unknown is ignored, no value echoed.

The SDK's decorator JSON-parses strings, drops unknown names and answers with pydantic's text, rejected values included
(guide mcp-sdk §4). `ExactTool` replaces the one method of its `Tool` that does so.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, cast

from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from server.complaints import UNKNOWN, complaints

from . import scrub

Outcome = CallToolResult | InputRequiredResult
Asked = ServerRequestContext[Any, Any]  # the call, as the SDK has it: who asks, and over what
Handler = Callable[[Any, Asked], Awaitable[Outcome]]
MOST = 5  # faults told of one call


class Arguments(BaseModel):
    """The arguments of a tool: exact names, exact types (no true for 1, no "1" for 1), no NaN. An explicit null is absence."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True, allow_inf_nan=False)


def _integral(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_integral)]  # JSON knows no difference between 1 and 1.0


class BadArguments(Exception):
    """The arguments do not fit; the message names the fields, never a value."""


class Unanswered(Exception):
    """A person must be asked first; `result` is the question, and the call comes again with the answer."""

    def __init__(self, result: InputRequiredResult) -> None:
        super().__init__()
        self.result = result


class ExactTool(Tool):
    """A tool with a model of its arguments and a handler that gets it whole; `answer_fault` turns exceptions to results."""

    model: type[Arguments] = Field(exclude=True)
    handler: Handler = Field(exclude=True)
    answer_fault: Callable[[Exception], CallToolResult] = Field(exclude=True)

    async def run(
        self,
        arguments: dict[str, Any],
        context: Context[Any, Any],
        convert_result: bool = False,  # noqa: FBT001, FBT002 - the SDK's signature
    ) -> Any:
        """As the SDK calls it."""
        del convert_result
        return await self.answer(arguments, context.request_context)

    async def answer(self, arguments: Mapping[str, Any], request: Asked) -> Outcome:
        """Validate, handle, and answer every fault but a protocol error as a result."""
        try:
            return await self.handler(validated(self.model, arguments), request)
        except MCPError:
            raise
        except Unanswered as question:
            return question.result
        except Exception as fault:  # noqa: BLE001 - the boundary: a fault is an answer too
            return self.answer_fault(fault)


@dataclass(frozen=True, slots=True)
class Label:
    """What a tool is called and says of itself. `output` is a JSON Schema of its successes, or None."""

    name: str
    title: str
    idempotent: bool = False
    output: Mapping[str, Any] | None = None
    meta: Mapping[str, Any] | None = None


def tool(
    label: Label, model: type[Arguments], handler: Handler, answer_fault: Callable[[Exception], CallToolResult]
) -> ExactTool:
    """A tool of ours. Its description is the docstring of its arguments."""
    hints = ToolAnnotations(
        title=label.title,
        read_only_hint=True,
        destructive_hint=False,
        idempotent_hint=label.idempotent,
        open_world_hint=False,
    )
    return ExactTool(
        fn=handler,
        name=label.name,
        title=label.title,
        description=" ".join((model.__doc__ or "").split()),
        parameters=schema(model),
        fn_metadata=FuncMetadata(arg_model=ArgModelBase, output_schema=dict(label.output) if label.output else None),
        is_async=True,
        context_kwarg=None,
        annotations=hints,
        meta=dict(label.meta) if label.meta else None,
        model=model,
        handler=handler,
        answer_fault=answer_fault,
    )


def validated(model: type[Arguments], arguments: Mapping[str, Any]) -> Arguments:
    """The arguments as `model`. Raises BadArguments."""
    given = {name: scrub.tree(value) for name, value in arguments.items() if value is not None}
    try:
        return model.model_validate(given)
    except ValidationError as fault:
        found = complaints(fault, model, given, MOST)
        raise BadArguments("; ".join(_said(place, what) for place, what in found) + ".") from None


def _said(place: str, what: str) -> str:
    if what.startswith(UNKNOWN):
        return f"unknown argument `{place}`{what.removeprefix(UNKNOWN)}"
    return f"`{place}` {what}" if place else what


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """The model's JSON Schema, as short as it can be said: no titles, no null branches, no defaults, references inlined.

    Hosts strip defaults or show them twice, so descriptions say them in words (guide hosts-and-ux §3).
    """
    full = model.model_json_schema()
    definitions = cast("dict[str, Any]", full.pop("$defs", {}))
    short = _short(full, definitions)
    short.pop("description", None)
    return short


# Limits far above any honest use are enforced, not advertised: every token here is paid in every conversation.
_NOISE = frozenset({"title", "default", "maxLength", "maxItems", "pattern"})
_PLAIN = {"ge": "minimum", "le": "maximum"}  # as pydantic leaves them behind a validator


def _short(node: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_short(item, definitions) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    found = cast("dict[str, Any]", node)
    if "$ref" in found:
        target = definitions[str(found["$ref"]).removeprefix("#/$defs/")]
        found = {
            **{k: v for k, v in target.items() if k != "description"},
            **{k: v for k, v in found.items() if k != "$ref"},
        }
    if "anyOf" in found:
        branches = [branch for branch in found["anyOf"] if branch != {"type": "null"}]
        rest = {k: v for k, v in found.items() if k != "anyOf"}
        found = {**branches[0], **rest} if len(branches) == 1 else {**rest, "anyOf": branches}
        if "$ref" in found:
            return _short(found, definitions)
    properties = found.get("properties")
    kept = ((k, v) for k, v in found.items() if k not in _NOISE and k != "properties")
    short = {_PLAIN.get(k, k): _short(v, definitions) for k, v in kept if (k, v) != ("additionalProperties", True)}
    if isinstance(properties, dict):
        named = cast("dict[str, Any]", properties)
        short["properties"] = {name: _short(value, definitions) for name, value in named.items()}
    return short
