"""Upstreams over HTTP that redirect, flood, hang, stall or are not there: the ask goes on, and nothing is followed."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio
import pytest

from tests.doubles import ask
from tests.server.context.place import configured, material, odd, opened, reads

pytestmark = pytest.mark.anyio
GOOD = "The osprey nests in June."


class Web(ThreadingHTTPServer):
    """A hostile server on a free port. `seen` holds the paths asked for and the headers sent."""

    daemon_threads = True

    def __init__(self, behaviour: str) -> None:
        super().__init__(("127.0.0.1", 0), Hostile)
        self.behaviour = behaviour
        self.seen: list[tuple[str, str | None]] = []
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/mcp"


class Hostile(BaseHTTPRequestHandler):
    server: Web
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers["Authorization"]))
        self.send_error(405)

    do_DELETE = do_GET

    def do_POST(self) -> None:
        self.server.seen.append((self.path, self.headers["Authorization"]))
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            self.answer(asked)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer(self, asked: dict) -> None:
        match self.server.behaviour:
            case "redirects":
                self.send_response(307)
                self.send_header("Location", f"http://localhost:{self.server.server_address[1]}/stolen")
                self.send_header("Content-Length", "0")
                self.end_headers()
            case "hangs":
                self.server.over.wait(30)
            case "huge_body":
                self.begin("application/json", None)
                for _ in range(200):
                    self.chunk(b" " * (1 << 20))
            case "huge_event":
                self.begin("text/event-stream", None)
                for _ in range(200):
                    self.chunk(b"data: " + b"a" * (1 << 20))
            case "html":
                self.begin("text/html", b"<html>Sign in</html>")
            case "zip_bomb":
                self.begin("application/json", b"\x1f\x8b" + b"\0" * 100, encoding="gzip")
            case "error":
                self.send_error(500)

    def begin(self, kind: str, body: bytes | None, encoding: str = "") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        if encoding:
            self.send_header("Content-Encoding", encoding)
        self.send_header(*(("Transfer-Encoding", "chunked") if body is None else ("Content-Length", str(len(body)))))
        self.end_headers()
        self.wfile.write(body or b"")

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


@pytest.fixture
def web(request: pytest.FixtureRequest) -> Iterator[Web]:
    with Web(request.param) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


BEHAVIOURS = ("redirects", "hangs", "huge_body", "huge_event", "html", "zip_bomb", "error")


@pytest.mark.parametrize("web", BEHAVIOURS, indirect=True)
async def test_the_ask_goes_on_without_it(web: Web, tmp_path: Path) -> None:
    servers = {
        "odd": {"type": "http", "url": web.url, "headers": {"Authorization": "Bearer ${OWN}"}},
        "good": odd(tmp_path, "healthy", GOOD),
    }
    loaded = configured(tmp_path, servers, reads("odd", "good", timeout_s=1.5), {"OWN": "t-canary"})
    with anyio.fail_after(20):
        async with opened(loaded) as sources:
            told = await sources.add(ask(sources=("odd", "good")))
            views = repr(sources.view())
    assert GOOD in material(told)
    use = told.context[0]
    assert use.server == "odd" and use.resources == () and use.warnings
    assert {path for path, _ in web.seen} == {"/mcp"}, "no redirect is followed elsewhere"
    assert web.seen[0][1] == "Bearer t-canary"
    for shown in (repr(told), views):
        assert "t-canary" not in shown and "127.0.0.1" not in shown and "/mcp" not in shown


async def test_nobody_there(tmp_path: Path) -> None:
    loaded = configured(tmp_path, {"odd": {"url": "http://127.0.0.1:1/mcp"}}, reads("odd"))
    async with opened(loaded) as sources:
        told = await sources.add(ask(sources=("odd",)))
        assert sources.view()[0].state == "failed"
    assert told.context[0].warnings == ("it could not be reached",)
