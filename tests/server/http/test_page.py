"""The dashboard: its link and cookie on the wire; its looks, its keyboard and its safety in a real browser."""

import contextlib
import functools
import http.server
import json
import shutil
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from test_api import house
from wire import ask, modern, post, send, status

from server.http.guard import Tokens
from server.http.link import SHARE, Link, Share
from server.page.html import exported, page, policy

pytestmark = pytest.mark.anyio
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
browsing = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
EVIL = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"


async def get(port: int, path: str, *headers: str) -> tuple[int, str]:
    lines = "".join(f"{line}\r\n" for line in headers)
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{lines}\r\n"
    answer = await send(port, head.encode())
    return status(answer), answer.decode()


@contextlib.asynccontextmanager
async def linked(folder: Path, **more):
    link = Link(1)
    async with house(folder, verifier=link.before(Tokens((("tester", "secret"),))), **more) as port:
        yield port, link


def cookie_of(answer: str) -> str:
    (line,) = [line for line in answer.split("\r\n") if line.lower().startswith("set-cookie:")]
    return line.partition(": ")[2]


async def test_the_link_opens_once_and_leaves_a_cookie_scripts_cannot_read(tmp_path: Path) -> None:
    async with linked(tmp_path) as (port, link):
        path = link.path
        found, answer = await get(port, path)
        assert found == 200
        cookie = cookie_of(answer)
        assert cookie.endswith("; Path=/; HttpOnly; SameSite=Strict")
        again, told = await get(port, path)
        assert again == 401 and "This link opens once" in told and "plenum dashboard" in told
        with pytest.raises(ValueError, match="used"):
            _ = link.path
        sent = f"Cookie: other=1; {cookie.partition(';')[0]}"
        assert (await get(port, "/", sent))[0] == 200
        assert (await get(port, "/api/costs", sent))[0] == 200


async def test_the_cookie_reads_and_does_nothing_else(tmp_path: Path) -> None:
    async with linked(tmp_path) as (port, link):
        cookie = cookie_of((await get(port, link.path))[1]).partition(";")[0]
        bare = {"Authorization": None, "Cookie": cookie}
        assert (await post(port, *ask(model="sim/fast")))[0] == 200
        body, own = ask(model="sim/fast")
        assert (await post(port, body, {**own, **bare}))[0] == 401
        assert (await post(port, b"{}", bare, path="/api/breakers"))[0] == 401
        assert (await get(port, "/metrics", f"Cookie: {cookie}"))[0] == 401


def test_of_processes_that_share_a_link_one_spends_it_for_all() -> None:
    share = Share.made()
    others = [Link(1, Share.inherited({SHARE: str(share)})) for _ in range(3)]
    scope = {"path": "/", "headers": [], "query_string": others[0].path.partition("?")[2].encode()}
    assert [other._opens(dict(scope)) for other in others] == [True, False, False]
    assert Link(2).path != Link(2).path
    assert share.secret not in repr(share)


@pytest.mark.parametrize(
    "sent", ["", "plenum_1=", "plenum_1=guess", 'plenum_1="', "plenum_1=\xff", "plenum_2=x; plenum_1"]
)
async def test_a_guessed_or_broken_cookie_opens_nothing(tmp_path: Path, sent: str) -> None:
    async with linked(tmp_path) as (port, _):
        assert (await get(port, "/", f"Cookie: {sent}"))[0] == 401
        assert (await get(port, "/?link=guess"))[0] == 401
        assert (await get(port, "/?link=", "Authorization: Bearer wrong"))[0] == 401


async def test_the_page_runs_its_own_script_only(tmp_path: Path) -> None:
    async with linked(tmp_path) as (port, link):
        head = (await get(port, link.path))[1].partition("\r\n\r\n")[0].lower()
    assert f"content-security-policy: {policy()}".lower() in head
    assert "default-src 'none'" in head
    assert "unsafe" not in head
    assert "referrer-policy: no-referrer" in head
    assert "http:" not in page().replace("http://www.w3.org/2000/svg", "")
    assert "innerHTML" not in page()


def facts(**council) -> dict:
    costs = {
        "summary": EVIL, "total_usd": 12.5, "calls": 3, "groups": [],
        "budgets": [{"scope": EVIL, "period": "day", "limit_usd": 10, "spent_usd": 9, "reserved_usd": 0, "remaining_usd": 1,
                     "resets_at": "2026-11-22T00:00:00+00:00", "alert": 0.9, "overrun_usd": 0}],
        "forecast": {"month_end_usd": 20, "low_usd": 15, "high_usd": 25, "basis": EVIL}, "savings": {"cache_usd": 1},
        "cache": {"hits": 1, "misses": 3}, "fusion": {"count": 1, "mean_agreement": 0.66},
        "recommendations": [{"text": EVIL, "saves_usd": 1, "action": EVIL}],
        "by": {"day": [{"key": "2026-11-20", "usd": 1, "calls": 1}, {"key": "2026-11-21", "usd": 3, "calls": 2}],
               "model": [{"key": EVIL, "usd": 1, "calls": 1, "success_rate": 1}]},
    }  # fmt: skip
    told = {
        "answer": EVIL, "summary": "2 of 3 agree", "status": "majority", "needs_review": True, "reasons": [EVIL],
        "confidence": {"value": None, "basis": "none"}, "agreement": {"votes": 2, "asked": 3}, "cost_usd": 0.01, "latency_s": 2,
        "clusters": [{"answer": EVIL, "votes": 2, "weight": 1, "models": ["a/b", "c/d"]}],
        "dissent": [{"answer": "43", "models": [EVIL], "excerpt": EVIL}],
        "candidates": [{"provider": "a", "model": EVIL, "answer": "42", "status": "answered", "latency_s": 1, "cost_usd": 0.01}],
    }  # fmt: skip
    one = {
        "id": "f_1", "at": "2026-11-21T00:00:00+00:00", "caller": EVIL, "provider": "sim", "model": EVIL, "cached": "no",
        "strategy": "balanced", "reasoning": EVIL, "cost_usd": 0.01, "latency_s": 1, "excluded_count": 1,
        "attempts": [{"provider": "a", "model": EVIL, "outcome": EVIL, "reason": EVIL, "latency_s": 1, "cost_usd": 0.1}],
        "excluded": [{"provider": "a", "model": "b", "why": EVIL}], "carbon_g": {"low": 0.1, "high": 0.4},
        "council": {**told, **council},
    }  # fmt: skip
    health = {
        "providers": [{"provider": EVIL, "status": "unhealthy", "breaker": "open", "error_rate": 0.5, "latency_p50_s": 1,
                       "latency_p95_s": 2, "reasons": [EVIL], "limiter": None, "spend": {"today_usd": 1}}],
        "breakers": [{"provider": EVIL, "model": "", "state": "open", "reason": EVIL, "for_s": 5}], "models": [],
    }  # fmt: skip
    state = {"version": "1", "warnings": [EVIL], "fault": False, "at": "2026-11-21T00:00:00+00:00"}
    return {"costs": costs, "health": health, "decisions": {"decisions": [one]}, "status": state}


def test_an_export_holds_its_facts_and_no_text_of_them_ends_the_script() -> None:
    whole = exported(facts())
    inside = whole.split('<script type="application/json" id="data">')[1].split("</script>")[0]
    assert json.loads(inside) == facts()
    assert whole.count("</script>") == page().count("</script>")
    assert "connect-src 'none'" in whole


@contextlib.asynccontextmanager
async def browser(**context):
    """A page of a headless Chromium, and everything that went wrong on it."""
    from playwright.async_api import async_playwright

    async with async_playwright() as play:
        running = await play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        sheet = await (await running.new_context(viewport={"width": 1200, "height": 900}, **context)).new_page()
        wrong: list[str] = []
        sheet.on("pageerror", lambda fault: wrong.append(str(fault)))
        sheet.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)

        async def dialog(box) -> None:
            wrong.append(f"dialog {box.message}")
            await box.dismiss()

        sheet.on("dialog", dialog)
        try:
            yield sheet, wrong
        finally:
            await running.close()


@browsing
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_hostile_text_stays_text_and_everything_is_drawn(tmp_path: Path, scheme: str) -> None:
    file = tmp_path / "dashboard.html"
    file.write_text(exported(facts()), "utf-8")
    async with browser(color_scheme=scheme) as (sheet, wrong):
        await sheet.goto(file.as_uri())
        await sheet.wait_for_selector("[data-drawn]", state="attached")
        await sheet.screenshot(path=tmp_path / f"{scheme}.png", full_page=True)
        shown = await sheet.inner_text("main")
        assert EVIL in shown
        for word in (
            "$12.50",
            "Budgets",
            "Spent per day",
            "Providers",
            "Held back now",
            "Council",
            "Dissent",
            "Decisions",
            "0.10–0.40 g",
        ):
            assert word in shown, word
        assert await sheet.locator("img").count() == 0
        background = await sheet.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (int(background[4:-1].split(",")[0]) < 80) is (scheme == "dark")
        assert wrong == []


@browsing
async def test_it_can_be_used_by_keyboard_and_read_aloud(tmp_path: Path) -> None:
    file = tmp_path / "dashboard.html"
    file.write_text(exported(facts()), "utf-8")
    async with browser() as (sheet, wrong):
        await sheet.goto(file.as_uri())
        await sheet.wait_for_selector("[data-drawn]", state="attached")
        await sheet.keyboard.press("Tab")
        assert await sheet.evaluate("document.activeElement.textContent") == "Skip to the content"
        await sheet.keyboard.press("Enter")
        assert await sheet.evaluate("document.activeElement.id") == "main"
        await sheet.focus("#d-f_1 > summary")
        await sheet.keyboard.press("Enter")
        assert await sheet.evaluate("document.getElementById('d-f_1').open")
        tree = await sheet.locator("body").aria_snapshot()
        for word in ('heading "Providers"', 'meter "', "status", 'img "Spent per day from 2026-11-20 to 2026-11-21'):
            assert word in tree, word
        unnamed = await sheet.evaluate(
            "[...document.querySelectorAll('section')].filter(s => !document.getElementById(s.getAttribute('aria-labelledby'))).length"
        )
        assert unnamed == 0
        assert await sheet.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await sheet.set_viewport_size({"width": 380, "height": 800})
        assert await sheet.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert wrong == []


@browsing
async def test_at_home_it_shows_what_was_just_asked(tmp_path: Path) -> None:
    link = Link(1)
    async with house(tmp_path, verifier=link.before(Tokens((("tester", "secret"),)))) as port:
        assert (await post(port, *ask(model="relay")))[0] == 200
        async with browser() as (sheet, wrong):
            await sheet.goto(f"http://127.0.0.1:{port}{link.path}")
            await sheet.wait_for_selector("[data-drawn]", state="attached")
            assert sheet.url == f"http://127.0.0.1:{port}/"
            shown = await sheet.inner_text("main")
            assert "sim-west/smart" in shown
            assert "tester" in shown
            await sheet.select_option("#period", "today")
            await sheet.click("#refresh")
            await sheet.reload()
            await sheet.wait_for_selector("[data-drawn]", state="attached")
            assert wrong == []


HOST = """<!doctype html><iframe id="view" sandbox="allow-scripts"></iframe><script>
const frame = document.getElementById("view"), got = window.got = [];
const post = m => frame.contentWindow.postMessage({jsonrpc: "2.0", ...m}, "*");
addEventListener("message", e => {
  const m = e.data; if (e.source !== frame.contentWindow) return; got.push(m);
  if (m.method === "ui/initialize") post({id: m.id, result: {protocolVersion: "2026-01-26", hostInfo: {name: "t", version: "1"}, hostCapabilities: {serverTools: {}}, hostContext: {theme: "dark"}}});
  if (m.method === "ui/notifications/initialized") { post({method: "ui/notifications/tool-input", params: {arguments: {}}}); post({method: "ui/notifications/tool-result", params: window.result}); }
  if (m.method === "tools/call") post({id: m.id, result: {content: [], structuredContent: {...window.result.structuredContent, total_usd: 77}}});
});
window.begin = (html, result) => { window.result = result; frame.srcdoc = html; };
</script>"""


@pytest.fixture
def host(tmp_path: Path):
    """A page of a host, at an origin of its own."""
    (tmp_path / "host").mkdir()
    (tmp_path / "host/index.html").write_text(HOST)
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    handler = functools.partial(quiet, directory=str(tmp_path / "host"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/index.html"
    server.shutdown()
    server.server_close()


APP_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"


@browsing
@pytest.mark.parametrize("kind", ["costs", "fuse"])
async def test_in_a_host_it_shows_the_tools_result(host: str, kind: str) -> None:
    whole = facts()
    result = whole["costs"] if kind == "costs" else whole["decisions"]["decisions"][0]["council"]
    guarded = page().replace("<head>", f'<head><meta http-equiv="Content-Security-Policy" content="{APP_POLICY}">')
    async with browser() as (sheet, wrong):
        await sheet.goto(host)
        await sheet.evaluate(
            "([html, result]) => begin(html, result)", [guarded, {"content": [], "structuredContent": result}]
        )
        view = sheet.frame_locator("#view")
        await view.locator("[data-drawn]").wait_for(state="attached")
        shown = await view.locator("main").inner_text()
        assert EVIL in shown
        assert ("$12.50" in shown) is (kind == "costs")
        assert ("Dissent" in shown) is (kind == "fuse")
        assert await view.locator("html").get_attribute("data-theme") == "dark"
        methods = await sheet.evaluate("got.map(m => m.method)")
        assert methods.count("ui/notifications/initialized") == 1
        assert "ui/notifications/size-changed" in methods
        if kind == "costs":
            await view.locator("#refresh").click()
            await view.get_by_text("$77.00").wait_for()
        else:
            assert await view.locator("#refresh").is_hidden()
        assert [fault for fault in wrong if "favicon" not in fault and "404" not in fault] == []


@browsing
async def test_a_real_fuse_is_shown_with_who_dissented(tmp_path: Path) -> None:
    link = Link(1)
    prompt = "What is 6*7?"
    arguments = {"prompt": prompt, "models": ["sim/fast", "sim/smart", "sim/dissenter"], "effort": "thorough"}
    async with house(tmp_path, verifier=link.before(Tokens((("tester", "secret"),)))) as port:
        sent = await post(port, *modern("tools/call", "fuse", name="fuse", arguments=arguments), patience=60)
        told = json.loads(sent[1])["result"]["structuredContent"]
        assert told["dissent"], told
        async with browser() as (sheet, wrong):
            await sheet.goto(f"http://127.0.0.1:{port}{link.path}")
            await sheet.wait_for_selector("[data-drawn]", state="attached")
            council = sheet.locator("section", has=sheet.get_by_role("heading", name="Council"))
            shown = await council.inner_text()
            for word in ("Answers", "Dissent", "Members", "42", "sim/dissenter", str(told["dissent"][0]["answer"])):
                assert word in shown, word
            meter = council.get_by_role("meter").first
            assert await meter.get_attribute("aria-valuenow") == "67"
            assert wrong == []
