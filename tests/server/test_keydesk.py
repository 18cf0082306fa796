"""A key that is missing: the person is sent to a page of this machine, and the call goes on with what was stored there."""

import re
import shutil
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.types import ElicitResult

sys.path.insert(0, str(Path(__file__).parent))

from household import small_app

from providers.simulator.server import serve
from routing.errors import KeyRefused, NoKeys, NoModel
from routing.types import Attempt, Receipt
from server.app import opener
from server.config.load import Folders
from server.config.world import World
from server.face import face
from server.house import House
from server.keydesk import KeyDesk, Page
from server.tools.remedies import lacking

pytestmark = pytest.mark.anyio
EITHER = pytest.mark.parametrize("mode", ["auto", "legacy"])
KEY = "sk-canary-0123456789abcdef0123456789abcdef"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Person:
    """Somebody at the host, who does with a link what the test says."""

    def __init__(self, act: Callable) -> None:
        self.act, self.seen, self.urls = act, [], []

    async def elicit(self, ctx, params) -> ElicitResult:
        self.seen.append(params.message)
        self.urls.append(getattr(params, "url", ""))
        return await self.act(params)


@asynccontextmanager
async def provider(home: Path) -> AsyncGenerator[World]:
    """A world whose one provider needs a key and has none. (0.0.0.0 leads here too, but does not count as loopback.)"""
    async with serve() as here:
        url = here.replace("127.0.0.1", "0.0.0.0")
        (home / "c").mkdir()
        (home / "c/plenum.toml").write_text(
            f'[providers]\nauto = false\n[providers.openai]\nbase_url = "{url}/openai/v1"\nallow_http = true\n'
            '[[providers.openai.models]]\nid = "fast"\nprice = { input = 1, output = 1 }\n'
        )
        yield World({"PLENUM_PASSPHRASE": "a long passphrase for tests"}, home, Folders(home / "c", home / "d"))


def client(world: World, person: Person | None, mode: str) -> Client:
    more = {"elicitation_callback": person.elicit} if person else {}
    return Client(face(House(opener(world))), mode=mode, read_timeout_seconds=60, **more)


ASK = {"prompt": "What is 6*7?", "model": "openai/fast"}


async def handed_in(url: str, key: str = KEY) -> httpx2.Response:
    """What a browser does with the link."""
    async with httpx2.AsyncClient() as http:
        page = await http.get(url)
        token = re.search(r'name="form" value="([^"]+)"', page.text)[1]
        origin = url.rsplit("/", 1)[0]
        return await http.post(
            url, data={"provider": "openai", "key": key, "form": token}, headers={"origin": origin}, timeout=50
        )


@EITHER
async def test_a_key_stored_on_the_page_lets_the_call_go_on(mode: str, tmp_path: Path) -> None:
    async with provider(tmp_path) as world, anyio.create_task_group() as tasks:

        async def go(params) -> ElicitResult:
            tasks.start_soon(handed_in, params.url)
            return ElicitResult(action="accept")

        person = Person(go)
        async with client(world, person, mode) as session:
            result = await session.call_tool("generate", ASK)
            again = await session.call_tool("generate", {**ASK, "prompt": "What is 6*8?"})
        assert not result.is_error, result.content[0].text
        assert not again.is_error
        assert len(person.seen) == 1
        assert person.seen[0].startswith("A key of openai is needed.")
        assert KEY not in str(result) + str(person.seen)
    assert KEY not in "".join(f.read_text("latin-1") for f in tmp_path.rglob("*") if f.is_file())


@EITHER
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_who_does_not_want_to_gets_the_refusal_with_the_other_way(mode: str, action: str, tmp_path: Path) -> None:
    async def no(params) -> ElicitResult:
        return ElicitResult(action=action)

    async with provider(tmp_path) as world, client(world, Person(no), mode) as session:
        result = await session.call_tool("generate", ASK)
    assert result.structured_content["error"]["code"] == "authentication"
    assert "plenum keys set" in result.structured_content["error"]["hint"]


@EITHER
async def test_a_host_that_cannot_open_links_is_not_asked(mode: str, tmp_path: Path) -> None:
    async with provider(tmp_path) as world, client(world, None, mode) as session:
        result = await session.call_tool("generate", ASK)
    assert result.structured_content["error"]["code"] == "authentication"


def test_a_key_helps_where_none_is_there_or_the_one_there_was_refused() -> None:
    refused = Receipt("g", attempts=(Attempt("openai", "m", "authentication"),))
    assert lacking(NoKeys("")) == ""
    assert lacking(NoKeys("", provider="xai")) == "xai"
    assert lacking(KeyRefused("", receipt=refused)) == "openai"
    assert lacking(NoModel("")) is None


async def test_over_http_nobody_is_sent_to_a_page_of_the_servers_machine() -> None:
    from household import served
    from mcp.client.streamable_http import streamable_http_client

    app, opened = small_app(), []

    async def refuse(ask, tell) -> None:
        raise NoKeys("No provider is configured.")

    async def never(ctx, params) -> ElicitResult:
        raise AssertionError("asked")

    app.manager.generate = refuse
    app.key_desk = type("Desk", (), {"page": lambda self, provider: opened.append(provider)})()
    async with served(app) as port, httpx2.AsyncClient(headers={"Authorization": "Bearer secret"}) as http:
        wire = streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http)
        async with Client(wire, elicitation_callback=never, read_timeout_seconds=30) as session:
            result = await session.call_tool("generate", {"prompt": "x"})
    assert result.structured_content["error"]["code"] == "no_model"
    assert opened == []


@asynccontextmanager
async def desk(keep: Callable | None = None) -> AsyncGenerator[tuple[Page, list]]:
    kept: list = []

    async def note(provider: str, key: str) -> None:
        kept.append((provider, key))

    async with anyio.create_task_group() as tasks:
        yield KeyDesk(tasks, lambda: ["openai", "xai"], keep or note).page("xai"), kept
        tasks.cancel_scope.cancel()


async def form_of(http: httpx2.AsyncClient, page: Page) -> dict[str, str]:
    text = (await http.get(page.url)).text
    return {"form": re.search(r'name="form" value="([^"]+)"', text)[1], "provider": "xai", "key": KEY}


def origin(page: Page) -> str:
    return f"http://127.0.0.1:{page.port}"


async def test_the_link_opens_once_and_tells_nothing_without_it() -> None:
    async with desk() as (page, _), httpx2.AsyncClient() as first, httpx2.AsyncClient() as second:
        wrong = await first.get(page.url[:-1])
        opened = await first.get(page.url)
        assert (wrong.status_code, opened.status_code) == (404, 200)
        assert "default-src 'none'" in opened.headers["content-security-policy"]
        assert opened.headers["cache-control"] == "no-store"
        assert all(part in opened.headers["set-cookie"] for part in ("HttpOnly", "SameSite=strict"))
        assert "<option selected>xai</option>" in opened.text
        assert (await second.get(page.url)).status_code == 404
        assert (await first.get(page.url)).status_code == 200  # the browser that has it may look again


CSRF = {
    "another origin": {"origin": "http://evil.example"},
    "a sandboxed page": {"origin": "null"},
    "no origin": {},
    "a name that points here": {"host": "evil.example", "origin": "http://evil.example"},
}


@pytest.mark.parametrize("case", CSRF)
async def test_a_form_from_elsewhere_stores_nothing(case: str) -> None:
    async with desk() as (page, kept), httpx2.AsyncClient() as http:
        sent = await http.post(page.url, data=await form_of(http, page), headers=CSRF[case])
        assert sent.status_code in (403, 421)
        assert kept == []
        assert not page.given.is_set()


async def test_neither_cookie_nor_form_token_alone_is_enough() -> None:
    async with desk() as (page, kept), httpx2.AsyncClient() as http, httpx2.AsyncClient() as stranger:
        form = await form_of(http, page)
        headers = {"origin": origin(page)}
        assert (await stranger.post(page.url, data=form, headers=headers)).status_code == 403
        assert (await http.post(page.url, data={**form, "form": "guess"}, headers=headers)).status_code == 403
        assert kept == []


WRONG = {
    "no key": {"key": " "},
    "two lines": {"key": "a\nb"},
    "nobody's": {"provider": "<b>"},
    "huge": {"key": "x" * 9000},
}


@pytest.mark.parametrize("case", WRONG)
async def test_what_is_no_key_is_said_and_may_be_tried_again(case: str) -> None:
    async with desk() as (page, kept), httpx2.AsyncClient() as http:
        form, headers = await form_of(http, page), {"origin": origin(page)}
        assert (await http.post(page.url, data={**form, **WRONG[case]}, headers=headers)).status_code == 400
        assert (await http.post(page.url, data=form, headers=headers)).status_code == 200
        assert kept == [("xai", KEY)]
        assert page.given.is_set()


async def test_a_vault_that_does_not_open_is_told_on_the_page() -> None:
    async def shut(provider: str, key: str) -> None:
        raise ValueError("The vault does not open <now>.")

    async with desk(shut) as (page, _), httpx2.AsyncClient() as http:
        sent = await http.post(page.url, data=await form_of(http, page), headers={"origin": origin(page)})
        assert sent.status_code == 400
        assert "The vault does not open &lt;now&gt;." in sent.text
        assert not page.given.is_set()


async def test_after_a_key_was_given_nothing_listens() -> None:
    async with desk() as (page, _):
        async with httpx2.AsyncClient() as http:
            await http.post(page.url, data=await form_of(http, page), headers={"origin": origin(page)})
        with anyio.fail_after(30):
            while True:
                try:
                    await (await anyio.connect_tcp("127.0.0.1", page.port)).aclose()
                except OSError:
                    break
                await anyio.sleep(0.02)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
async def test_a_browser_can_hand_in_a_key() -> None:
    from playwright.async_api import async_playwright

    async with desk() as (page, kept), async_playwright() as play:
        running = await play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = await running.new_page()
        await tab.goto(page.url)
        await tab.fill("input[name=key]", KEY)
        await tab.click("button")
        await tab.wait_for_selector("text=is stored")
        await running.close()
        assert kept == [("xai", KEY)]
