"""Resources, templates, prompts, completions and subscriptions, in both eras."""

import json
import sys
from pathlib import Path

import anyio
import pytest
from mcp import Client, MCPError
from mcp.server.mcpserver import MCPServer
from mcp.types import Implementation, PromptReference, ResourceTemplateReference

sys.path.insert(0, str(Path(__file__).parent))

from household import opener_of, small_app

from routing.events import BreakerChanged
from server.face import face
from server.house import House
from server.mcp import pages

pytestmark = pytest.mark.anyio
MODES = pytest.mark.parametrize("mode", ["auto", "legacy"])


def client(app=None, mode: str = "auto", **more) -> Client:
    return Client(face(House(opener_of(app or small_app()))), mode=mode, read_timeout_seconds=20, **more)


async def read(session: Client, uri: str) -> dict:
    (content,) = (await session.read_resource(uri)).contents
    return json.loads(content.text)


@MODES
async def test_the_fixed_resources_and_templates_of_the_contract_are_there(mode: str) -> None:
    async with client(mode=mode) as session:
        every = {str(r.uri) for r in (await session.list_resources()).resources}
        fixed = every - {"ui://plenum/dashboard"}  # HTML: test_apps.py
        templates = {t.uri_template for t in (await session.list_resource_templates()).resource_templates}
        for uri in fixed:
            assert await read(session, uri) is not None
    assert fixed == {f"plenum://{name}" for name in ("models", "providers", "context", "config", "status")}
    assert templates == {
        "plenum://models/{provider}/{+model}", "plenum://providers/{name}", "plenum://costs/{period}",
        "plenum://decisions/{id}", "plenum://answers/{id}",
    }  # fmt: skip


async def test_one_model_and_one_provider_can_be_read() -> None:
    async with client() as session:
        assert (await read(session, "plenum://models/sim/fast"))["id"] == "sim/fast"
        provider = await read(session, "plenum://providers/sim")
        assert (provider["status"], provider["breaker"], provider["models"]) == ("healthy", "closed", 3)


@pytest.mark.parametrize(
    "uri",
    [
        "plenum://models/sim/none",
        "plenum://providers/none",
        "plenum://costs/never",
        "plenum://decisions/x",
        "plenum://x",
    ],
)
async def test_what_is_not_there_is_an_error_with_its_uri(uri: str) -> None:
    async with client() as session:
        with pytest.raises(MCPError) as caught:
            await session.read_resource(uri)
    assert caught.value.error.code == -32602


async def test_an_answer_belongs_to_its_caller() -> None:
    async with client(client_info=Implementation(name="local", version="1")) as session:
        assert (await read(session, "plenum://answers/g_kept"))["answer"] == "kept text"
        assert (await read(session, "plenum://decisions/g_kept"))["id"] == "g_kept"
    async with client(client_info=Implementation(name="thief", version="1")) as session:
        with pytest.raises(MCPError):
            await session.read_resource("plenum://answers/g_kept")


async def test_no_secret_and_no_place_is_in_the_configuration() -> None:
    from server.config import Config

    app = small_app()
    app.config = Config.model_validate(
        {
            "providers": {"alpha": {"dialect": "openai_chat", "api_key": "canary", "headers": {"x": "canary"}}},
            "store": {"url": "sqlite:///canary"},
            "context": {"file": "/canary.json"},
            "http": {"tokens": ["canary"]},
        }
    )
    async with client(app) as session:
        text = (await session.read_resource("plenum://config")).contents[0].text
    assert "canary" not in text
    assert "alpha" in text


@MODES
async def test_prompts_have_descriptions_and_say_what_to_call(mode: str) -> None:
    async with client(mode=mode) as session:
        prompts = (await session.list_prompts()).prompts
        assert [p.name for p in prompts] == ["second_opinion", "settle", "cheaper", "explain_spend"]
        assert all(p.description for p in prompts)
        got = await session.get_prompt("settle", {"question": "2+2?", "options": "3, 4"})
    assert "fuse" in got.messages[0].content.text
    assert "2+2?" in got.messages[0].content.text


async def test_every_variable_and_argument_is_completed() -> None:
    async with client(client_info=Implementation(name="local", version="1")) as session:
        models = ResourceTemplateReference(uri="plenum://models/{provider}/{+model}")

        async def values(ref, name: str, value: str, **known: str) -> list[str]:
            return (await session.complete(ref, {"name": name, "value": value}, known or None)).completion.values

        assert await values(models, "provider", "s") == ["sim"]
        assert await values(models, "model", "s", provider="sim") == ["slow", "smart", "fast"]
        assert await values(models, "model", "sm") == ["smart"]
        assert await values(PromptReference(name="second_opinion"), "model", "smart") == ["sim/smart"]
        assert await values(ResourceTemplateReference(uri="plenum://costs/{period}"), "period", "mo") == ["month"]
        done = await session.call_tool("generate", {"prompt": "x"})
        id = done.meta["plenum/receipt"]["id"]
        assert await values(ResourceTemplateReference(uri="plenum://answers/{id}"), "id", "g_") == [id]


async def test_a_change_reaches_who_listens_in_2026() -> None:
    app = small_app()
    async with client(app) as session:
        await session.call_tool("list_models", {})
        with anyio.fail_after(30):
            async with session.listen(resource_subscriptions=["plenum://providers/sim"]) as events:
                app.hub(BreakerChanged("sim#1", "sim", "open", "test", 5.0))
                event = await anext(aiter(events))
    assert event.uri == "plenum://providers/sim"


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")  # older hosts do just this
async def test_a_change_reaches_who_subscribed_before_and_nobody_after_leaving() -> None:
    app, told = small_app(), []
    came = anyio.Event()

    async def note(message) -> None:
        if "ResourceUpdated" in type(message).__name__:
            told.append(str(message.params.uri))
            came.set()

    house = House(opener_of(app))
    async with Client(face(house), mode="legacy", message_handler=note, read_timeout_seconds=20) as session:
        await session.call_tool("list_models", {})
        await session.subscribe_resource("plenum://providers/sim")
        app.hub(BreakerChanged("sim#1", "sim", "open", "test", 5.0))
        with anyio.fail_after(30):
            await came.wait()
        await session.unsubscribe_resource("plenum://providers/sim")
        assert list(house.changes.watched) == []
        await session.subscribe_resource("plenum://models")
    assert told == ["plenum://providers/sim"]
    assert list(house.changes.watched) == []


async def test_lists_carry_how_long_they_hold() -> None:
    async with client() as session:
        assert (await session.list_tools()).ttl_ms == 300_000
        assert (await session.list_resources()).cache_scope == "public"


async def test_lists_come_in_pages_and_a_strange_cursor_is_refused() -> None:
    server = MCPServer("pages", log_level="WARNING")
    for number in range(5):
        server.resource(f"x://{number}", name=f"n{number}")(lambda: "x")
    pages.paged(server, 2)
    async with Client(server) as session:
        seen, cursor = [], None
        while page := await session.list_resources(cursor=cursor):
            seen.append([str(resource.uri) for resource in page.resources])
            if (cursor := page.next_cursor) is None:
                break
        with pytest.raises(MCPError) as caught:
            await session.list_resources(cursor="somewhere")
    assert seen == [["x://0", "x://1"], ["x://2", "x://3"], ["x://4"]]
    assert caught.value.error.code == -32602
