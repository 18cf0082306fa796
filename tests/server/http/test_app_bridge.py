"""The page under the official bridge of MCP Apps (npm), in headless Chromium, on the whole house's own answers."""

import contextlib
import http.server
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "conformance"))

import node
from test_api import house
from test_page import browser, browsing

pytestmark = [pytest.mark.anyio, pytest.mark.soak]  # npm fetches the bridge at first
HOST = Path(__file__).with_name("bridge_host.mjs")


@pytest.fixture(scope="module")
def script(tmp_path_factory) -> str:
    """The host's page as one script."""
    try:
        modules = node.package("@modelcontextprotocol/ext-apps").parents[1]
        bundler = node.package("esbuild") / "bin/esbuild"
    except node.Unreachable as why:
        pytest.skip(str(why))
    place = tmp_path_factory.mktemp("bridge")
    (place / "node_modules").symlink_to(modules)
    (place / "host.mjs").write_text(HOST.read_text())
    command = [bundler, "host.mjs", "--bundle", "--format=iife", "--outfile=host.js", "--log-level=error"]
    subprocess.run(command, cwd=place, check=True, timeout=120)
    return (place / "host.js").read_text()


@contextlib.contextmanager
def hosted(script: str, port: int):
    """A page at an origin of its own that passes /mcp on to the house: hosts speak to servers, pages do not."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = {
                "/": ("text/html", "<!doctype html><body><script src=/host.js></script>"),
                "/host.js": ("text/javascript", script),
            }
            kind, body = known.get(self.path, ("text/plain", ""))
            self.answer(200 if self.path in known else 405, kind, body.encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept = {k: v for k, v in self.headers.items() if k.lower().startswith(("mcp-", "content-type", "accept"))}
            kept = {**kept, "Accept-Encoding": "identity", "Authorization": "Bearer secret"}
            request = urllib.request.Request(f"http://127.0.0.1:{port}/mcp", body, kept)
            try:
                with urllib.request.urlopen(request, timeout=60) as found:
                    told = {k: v for k, v in found.headers.items() if k.lower().startswith("mcp-")}
                    self.answer(found.status, found.headers.get("Content-Type", ""), found.read(), told)
            except urllib.error.HTTPError as refused:
                self.answer(refused.code, refused.headers.get("Content-Type", ""), refused.read())

        def answer(self, status: int, kind: str, body: bytes, more: dict[str, str] = {}) -> None:
            self.send_response(status)
            for name, value in {**more, "Content-Type": kind, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


FUSE = {"prompt": "What is 6*7?", "models": ["sim/fast", "sim/smart", "sim/dissenter"], "effort": "thorough"}


@browsing
@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [("fuse", FUSE, ("Council", "42", "Dissent", "sim/dissenter")), ("costs", {"period": "today"}, ("At a glance", "Budgets"))],
    ids=["fuse", "costs"],
)  # fmt: skip
async def test_the_official_bridge_opens_it_feeds_it_and_resizes_it(tmp_path, script, tool, arguments, words) -> None:
    async with house(tmp_path) as port, browser() as (sheet, wrong):
        with hosted(script, port) as address:
            await sheet.goto(address)
            await sheet.evaluate("([name, args]) => show(name, args)", [tool, arguments])
            view = sheet.frame_locator("#view")
            await view.locator("[data-drawn]").wait_for(state="attached")
            shown = await view.locator("main").inner_text()
            for word in words:
                assert word in shown, word
            seen = await sheet.evaluate("seen")
            assert seen["mime"] == seen["expected"]
            assert seen["app"]["name"] == "plenum-dashboard"
            assert seen["sizes"] and all(size["height"] > 0 and size["width"] > 0 for size in seen["sizes"])
            page = view.locator("html")
            assert await page.get_attribute("data-theme") == "dark"
            assert await page.evaluate("e => e.style.getPropertyValue('--bg')") == "#102030"
            await sheet.evaluate("light()")
            await view.locator("html[data-theme=light]").wait_for(state="attached")
            if tool == "costs":
                await view.locator("#refresh").click()
                await view.get_by_text("Up to date.").wait_for()
            await sheet.evaluate("close_()")
            assert [fault for fault in wrong if "favicon" not in fault and "405" not in fault] == []
