"""What the official suite calls, mounted on our own app: same transport, guard, middleware and stop as in service.

`python fixtures.py PORT` serves it; any bearer (or none) is let in, because the suite sends none. Host and Origin rules hold.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).parents[1] / "server"))
sys.path.insert(0, str(Path(__file__).parents[2]))

import anyio
from household import opener_of, small_app
from mcp import MCPError
from mcp.server.mcpserver import Context, Elicit, Resolve, Sample, UserMessage
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import (
    AudioContent,
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    EmbeddedResource,
    EmptyResult,
    GetPromptResult,
    ImageContent,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    SetLevelRequestParams,
    TextContent,
    TextResourceContents,
)
from pydantic import BaseModel, Field

from server.http import serve
from server.http.guard import Principal
from server.mcp.doors import lowlevel
from server.mcp.tasks import Tasks, Terms, current

PNG = base64.b64encode(
    base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==")
).decode()
WAV = base64.b64encode(b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0@\x1f\0\0\x80>\0\0\2\0\x10\0data\0\0\0\0").decode()
REQUIRED = ("failing_job", "confirm_delete", "multi_input", "test_tool_with_task")
TASKED = {**dict.fromkeys(REQUIRED, "required"), **dict.fromkeys(("slow_compute", "protocol_error_job"), "optional")}


def text(words: str) -> TextContent:
    return TextContent(type="text", text=words)


def embedded(uri: str, kind: str = "text/plain", words: str = "embedded text") -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=kind, text=words))


def form(message: str, **properties: Any) -> ElicitRequest:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def content_tools(server) -> None:
    @server.tool()
    def test_simple_text() -> CallToolResult:
        return CallToolResult(content=[text("This is a simple text response for testing.")])

    @server.tool()
    def test_image_content() -> list[ImageContent]:
        return [ImageContent(type="image", data=PNG, mime_type="image/png")]

    @server.tool()
    def test_audio_content() -> list[AudioContent]:
        return [AudioContent(type="audio", data=WAV, mime_type="audio/wav")]

    @server.tool()
    def test_embedded_resource() -> list[EmbeddedResource]:
        return [embedded("test://embedded-resource")]

    @server.tool()
    def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
        picture = ImageContent(type="image", data=PNG, mime_type="image/png")
        return [text("several"), picture, embedded("test://mixed-content-resource", "application/json", '{"a": 1}')]

    @server.tool()
    def test_error_handling() -> CallToolResult:
        raise ToolError("This tool intentionally returns an error for testing")

    @server.tool()
    async def test_tool_with_logging(ctx: Context) -> CallToolResult:
        for words in ("started", "working", "done"):
            await ctx.request_context.session.send_log_message("info", words, related_request_id=ctx.request_id)
            await anyio.sleep(0.05)
        return CallToolResult(content=[text("logged")])

    server.add_tool(test_tool_with_logging, name="test_logging_tool", description="logs, unasked for a level")

    @server.tool()
    async def test_tool_with_progress(ctx: Context) -> CallToolResult:
        for done in (0, 50, 100):
            await ctx.report_progress(done, 100, f"{done} of 100")
            await anyio.sleep(0.05)
        return CallToolResult(content=[text("progressed")])

    @server.tool()
    async def test_reconnection(ctx: Context) -> CallToolResult:
        close = ctx.request_context.close_sse_stream
        if close is not None:
            await close()
        await anyio.sleep(0.2)
        return CallToolResult(content=[text("reconnected")])

    @server.tool()
    def test_x_mcp_header(
        region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})] = "",
    ) -> CallToolResult:
        return CallToolResult(content=[text(region)])


class Answered(BaseModel):
    response: str = Field(description="User's response")


class Defaults(BaseModel):
    name: str = Field(default="John Doe")
    age: int = Field(default=30)
    score: float = Field(default=95.5)
    status: str = Field(default="active", json_schema_extra={"enum": ["active", "inactive", "pending"]})
    verified: bool = Field(default=True)


def _titled(*values: str) -> list[dict[str, str]]:
    return [{"const": value, "title": value.title()} for value in values]


class Enums(BaseModel):
    untitledSingle: str = Field(json_schema_extra={"enum": ["option1", "option2", "option3"]})
    titledSingle: str = Field(json_schema_extra={"oneOf": _titled("value1", "value2", "value3")})
    legacyEnum: str = Field(json_schema_extra={"enum": ["opt1", "opt2"], "enumNames": ["One", "Two"]})
    untitledMulti: list[str] = Field(json_schema_extra={"items": {"type": "string", "enum": ["option1", "option2"]}})
    titledMulti: list[str] = Field(json_schema_extra={"items": {"anyOf": _titled("value1", "value2")}})


def asking_tools(server) -> None:
    @server.tool()
    async def test_sampling(prompt: str, ctx: Context) -> CallToolResult:
        said = SamplingMessage(role="user", content=text(prompt))
        result = await ctx.request_context.session.create_message(
            [said], max_tokens=100, related_request_id=ctx.request_id
        )
        return CallToolResult(content=[text(f"LLM response: {getattr(result.content, 'text', '')}")])

    async def asked(ctx: Context, message: str, schema: type[BaseModel]) -> CallToolResult:
        result = await ctx.elicit(message, schema)
        shown = result.data.model_dump_json() if result.action == "accept" else "{}"
        return CallToolResult(content=[text(f"User response: action={result.action}, content={shown}")])

    @server.tool()
    async def test_elicitation(message: str, ctx: Context) -> CallToolResult:
        return await asked(ctx, message, Answered)

    @server.tool()
    async def test_elicitation_sep1034_defaults(ctx: Context) -> CallToolResult:
        return await asked(ctx, "Please review and update the form fields with defaults", Defaults)

    @server.tool()
    async def test_elicitation_sep1330_enums(ctx: Context) -> CallToolResult:
        return await asked(ctx, "Please select options from the enum fields", Enums)

    def sample() -> Sample:
        return Sample([SamplingMessage(role="user", content=text("hello"))], max_tokens=10)

    @server.tool()
    def test_missing_capability(sampled: Annotated[Any, Resolve(sample)]) -> CallToolResult:
        return CallToolResult(content=[text(str(sampled))])

    @server.tool()
    async def test_trigger_tool_change(ctx: Context) -> CallToolResult:
        server.add_tool(lambda: "x", name="test_changed_tool", description="appears") if not _has(
            server
        ) else server.remove_tool("test_changed_tool")
        await ctx.notify_tools_changed()
        return CallToolResult(content=[text("changed")])

    @server.tool()
    async def test_trigger_prompt_change(ctx: Context) -> CallToolResult:
        await ctx.notify_prompts_changed()
        return CallToolResult(content=[text("changed")])


def _has(server) -> bool:
    return server._tool_manager.get_tool("test_changed_tool") is not None


def answer(ctx: Context, key: str) -> dict[str, Any] | None:
    given = (ctx.input_responses or {}).get(key)
    if given is None:
        return None
    wire = given.model_dump(mode="json", by_alias=True, exclude_none=True)
    if "action" not in wire:
        return wire
    return wire.get("content") if wire["action"] == "accept" else None


NAME = form("What is your name?", name={"type": "string"})
OK = form("Go on?", ok={"type": "boolean"})
Outcome = CallToolResult | InputRequiredResult


def sample_request(words: str):
    from mcp.types import CreateMessageRequest, CreateMessageRequestParams

    message = SamplingMessage(role="user", content=text(words))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=100))


def rounds(server) -> None:
    def one(name: str, key: str, request: Any, field: str | None = None) -> None:
        async def ask(ctx: Context) -> Outcome:
            found = answer(ctx, key)
            if not found or (field and not isinstance(found.get(field), str)):
                return InputRequiredResult(input_requests={key: request})
            return CallToolResult(content=[text(f"Hello, {json.dumps(found)}")])

        server.add_tool(ask, name=name, description="asks first")

    one("test_input_required_result_elicitation", "user_name", NAME, "name")
    one("test_streaming_elicitation", "user_name", NAME, "name")
    one("test_input_required_result_sampling", "capital_question", sample_request("What is the capital of France?"))
    one("test_input_required_result_list_roots", "client_roots", ListRootsRequest())

    @server.tool()
    async def test_input_required_result_request_state(ctx: Context) -> Outcome:
        if ctx.request_state == "sealed" and answer(ctx, "confirm"):
            return CallToolResult(content=[text("state-ok")])
        return InputRequiredResult(input_requests={"confirm": OK}, request_state="sealed")

    @server.tool()
    async def test_input_required_result_tampered_state(ctx: Context) -> Outcome:
        if ctx.request_state == "sealed" and answer(ctx, "confirm"):
            return CallToolResult(content=[text("state-ok")])
        return InputRequiredResult(input_requests={"confirm": OK}, request_state="sealed")

    @server.tool()
    async def test_input_required_result_multiple_inputs(ctx: Context) -> Outcome:
        wanted = {"user_name": NAME, "greeting": sample_request("Greet"), "client_roots": ListRootsRequest()}
        if ctx.request_state == "three" and all(answer(ctx, key) for key in wanted):
            return CallToolResult(content=[text("all three")])
        return InputRequiredResult(input_requests=wanted, request_state="three")

    @server.tool()
    async def test_input_required_result_multi_round(ctx: Context) -> Outcome:
        if ctx.request_state == "two" and answer(ctx, "step2"):
            return CallToolResult(content=[text("both rounds")])
        if ctx.request_state == "one" and answer(ctx, "step1"):
            color = form("Step 2: colour?", color={"type": "string"})
            return InputRequiredResult(input_requests={"step2": color}, request_state="two")
        return InputRequiredResult(input_requests={"step1": NAME}, request_state="one")

    @server.tool()
    async def test_input_required_result_capabilities(ctx: Context) -> Outcome:
        able = ctx.client_capabilities
        wanted: dict[str, Any] = {}
        if able is not None and able.elicitation is not None:
            wanted["user_name"] = NAME
        if able is not None and able.sampling is not None:
            wanted["greeting"] = sample_request("Greet")
        if not wanted or ctx.input_responses:
            return CallToolResult(content=[text("done")])
        return InputRequiredResult(input_requests=wanted)


def job_tools(server) -> None:
    @server.tool()
    def greet(name: str = "you") -> CallToolResult:
        return CallToolResult(content=[text(f"Hello, {name}!")])

    @server.tool()
    async def slow_compute(seconds: float = 0, label: str = "") -> CallToolResult:
        await anyio.sleep(seconds)
        return CallToolResult(content=[text(f"computed {label}")])

    @server.tool()
    async def failing_job() -> CallToolResult:
        await anyio.sleep(1)
        raise ToolError("failed")

    @server.tool()
    async def protocol_error_job() -> CallToolResult:
        await anyio.sleep(0.2)
        raise MCPError(-32603, "boom")

    @server.tool()
    async def confirm_delete(filename: str = "f") -> CallToolResult:
        given = await current.get().ask({"confirm": form(f"delete {filename}?", confirm={"type": "boolean"})})
        return CallToolResult(content=[text(f"deleted {given}")])

    @server.tool()
    async def multi_input() -> CallToolResult:
        question = {"confirm": {"type": "boolean"}}
        return CallToolResult(
            content=[text(str(await current.get().ask({"one": form("1?", **question), "two": form("2?", **question)})))]
        )

    class Named(BaseModel):
        name: str

    def ask_name() -> Elicit[Named]:
        return Elicit("Your name?", Named)

    async def test_tool_with_task(user: Any) -> CallToolResult:
        await anyio.sleep(0.3)
        return CallToolResult(content=[text(f"Hello {user.name}")])

    test_tool_with_task.__annotations__["user"] = Annotated[Named, Resolve(ask_name)]
    server.add_tool(test_tool_with_task)


SCHEMA_2020 = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def reading(server) -> None:
    @server.resource("test://static-text", mime_type="text/plain")
    def static_text() -> str:
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        return base64.b64decode(PNG)

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})

    @server.resource("test://watched-resource", mime_type="text/plain")
    def watched() -> str:
        return "watched"

    @server.prompt(description="simple")
    def test_simple_prompt() -> list[UserMessage]:
        return [UserMessage("This is a simple prompt for testing.")]

    @server.prompt(description="with arguments")
    def test_prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
        return [UserMessage(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")]

    @server.prompt(description="with a resource")
    def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:
        return [UserMessage(embedded(resourceUri)), UserMessage("Please process the embedded resource above.")]

    @server.prompt(description="with an image")
    def test_prompt_with_image() -> list[UserMessage]:
        return [UserMessage(ImageContent(type="image", data=PNG, mime_type="image/png")), UserMessage("Look at it.")]

    @server.prompt(description="asks first")
    def test_input_required_result_prompt(ctx: Context) -> GetPromptResult | InputRequiredResult:
        found = answer(ctx, "user_context")
        if not found:
            question = form("What context should the prompt use?", context={"type": "string"})
            return InputRequiredResult(input_requests={"user_context": question})
        return [UserMessage(json.dumps(found))]


def verbatim(server) -> None:
    def json_schema_2020_12_tool() -> CallToolResult:
        return CallToolResult(content=[text("ok")])

    server.add_tool(json_schema_2020_12_tool, description="keeps its schema")
    server._tool_manager.get_tool("json_schema_2020_12_tool").parameters = SCHEMA_2020


async def set_level(ctx: Any, params: SetLevelRequestParams) -> EmptyResult:
    return EmptyResult()


class Anybody:
    async def __call__(self, scope, token):
        return Principal("conformance")


async def main(port: int) -> None:
    listening = serve.bound("127.0.0.1", port)
    polite = serve.polite(opener_of(small_app()), serve.Listen("127.0.0.1", port), Anybody(), mount=mount)
    await polite.serve([listening])


def mount(server) -> None:
    for add in (content_tools, asking_tools, rounds, job_tools, reading, verbatim):
        add(server)
    for fixture in server._tool_manager.list_tools():
        fixture.description = fixture.description or f"Fixture {fixture.name}."
    lowlevel(server).add_request_handler("logging/setLevel", SetLevelRequestParams, set_level)
    jobs = next(extension for extension in server._extensions if isinstance(extension, Tasks))
    jobs._tools |= TASKED
    jobs._terms = Terms(poll_ms=200)


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]))
