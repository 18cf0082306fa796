"""`plenum prices`: a newer table is fetched when asked, believed when it is one, and dropped again."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

KEY = {"OPENAI_API_KEY": "sk-1"}
TABLE = {
    "openai": {
        "models": {
            "gpt-6-luna": {"cost": {"input": 0.2, "output": 1.0}},
            **{f"m{i}": {"cost": {"input": 1, "output": 2}} for i in range(40)},
        }
    }
}


@pytest.fixture
def source() -> Iterator[tuple[str, dict]]:
    """Where a table is served: the URL, and what is answered there."""
    said: dict = {"status": 200, "body": json.dumps(TABLE).encode()}

    class Table(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(said["status"])
            self.end_headers()
            self.wfile.write(said["body"])

        def log_message(self, *words: object) -> None:
            del words

    server = ThreadingHTTPServer(("127.0.0.1", 0), Table)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/api.json", said
    server.shutdown()
    server.server_close()


def row(done, model: str) -> dict:
    return next(row for row in json.loads(done.stdout)["models"] if row["model"] == model)


def test_a_fetched_table_is_in_force_until_it_is_reset(plenum, source) -> None:
    url, _ = source
    before = row(plenum("prices", "--json", **KEY), "openai/gpt-6-luna")
    assert (before["input"], before["other"]) == (0.1, "")
    done = plenum("prices", "refresh", "--url", url, **KEY)
    assert done.returncode == 0, done.stderr
    assert "! openai/gpt-6-luna: models.dev" in done.stdout
    after = row(plenum("prices", "--json", **KEY), "openai/gpt-6-luna")
    assert (after["input"], after["output"]) == (0.2, 1.0)
    assert "says $0.1 and $0.5" in after["other"]
    listed = json.loads(plenum("models", "gpt-6-luna", "--json", **KEY).stdout)
    assert listed["models"][0]["price"]["input"] == 0.2
    assert "prices refreshed" in plenum("audit", "show").stdout
    assert plenum("prices", "reset", **KEY).returncode == 0
    assert row(plenum("prices", "--json", **KEY), "openai/gpt-6-luna") == before


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [(500, b"", "status 500"), (200, b"<html>", "not JSON"), (200, b"{}", "not the table"), (302, b"", "status 302")],
)
def test_what_is_no_table_leaves_the_prices_as_they_are(plenum, source, status: int, body: bytes, why: str) -> None:
    url, said = source
    said.update(status=status, body=body)
    done = plenum("prices", "refresh", "--url", url)
    assert done.returncode == 1
    assert why in done.stderr
    assert "stay as they are" in done.stderr
    assert json.loads(plenum("prices", "--json").stdout)["refreshed"] is None


def test_only_https_is_asked_and_a_broken_file_is_named(plenum, tmp_path) -> None:
    assert "only https" in plenum("prices", "refresh", "--url", "http://prices.example/api.json").stderr
    (tmp_path / "prices.json").write_text('{"fetched": "2026-11-21"', "utf-8")
    done = plenum("prices")
    assert (done.returncode, "plenum prices reset" in done.stderr) == (1, True)
    assert plenum("models").returncode == 0
