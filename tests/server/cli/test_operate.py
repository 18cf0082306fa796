"""`plenum top`, `dashboard` and `breaker` as a person runs them."""

import json
import os
import re
import subprocess
import sys

import pytest

from server.cli.top import plain, spark


def test_top_draws_once_what_the_ledger_knows(plenum) -> None:
    assert plenum("ask", "one", "--demo", "--model", "sim/fast").returncode == 0
    done = plenum("top", "--once", "--demo", COLUMNS="140")
    assert done.returncode == 0, done.stderr
    for word in ("for 1 call", "Providers", "sim-west", "Decisions", "sim/fast", "shell", "of $10"):
        assert word in done.stdout, word
    facts = json.loads(plenum("top", "--demo", "--json").stdout)
    assert facts["decisions"]["decisions"][0]["model"] == "fast"


def test_what_was_refused_is_shown_with_why_and_counts_as_no_call(plenum) -> None:
    assert plenum("ask", "one", "--demo", "--model", "sim/nobody").returncode == 3
    done = plenum("top", "--once", "--demo", COLUMNS="140")
    assert done.returncode == 0 and "no_model" in done.stdout and "for 0 calls" in done.stdout, done.stdout
    facts = json.loads(plenum("top", "--demo", "--json").stdout)
    (refused,) = facts["decisions"]["decisions"]
    assert refused["error"]["code"] == "no_model" and refused["error"]["message"] and refused["cost_usd"] == 0
    assert json.loads(plenum("costs", "--json").stdout)["calls"] == 0


def test_dashboard_is_exported_as_one_file(plenum, tmp_path) -> None:
    assert plenum("ask", "PRIVATE", "--demo", "--model", "sim/fast").returncode == 0
    done = plenum("dashboard", "--demo", "--export", "page.html")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.html").read_text("utf-8")
    assert '"total_usd"' in page
    assert "PRIVATE" not in page
    assert plenum("dashboard", "--demo", "--export", "no/such/folder.html").returncode == 2
    assert json.loads(plenum("dashboard", "--demo", "--json").stdout)["costs"]["calls"] == 1


def test_breakers_need_a_server_and_a_token(plenum) -> None:
    done = plenum("breaker", "show", "--url", "http://127.0.0.1:9")
    assert (done.returncode, "PLENUM_TOKEN" in done.stderr) == (2, True)
    done = plenum("breaker", "show", "--url", "http://127.0.0.1:9", PLENUM_TOKEN="x")
    assert (done.returncode, "No Plenum answers" in done.stderr) == (2, True)
    assert plenum("breaker", "show", "--url", "file:///etc/passwd", PLENUM_TOKEN="x").returncode == 2


def test_breakers_of_a_running_server_are_shown_and_reset(plenum, tmp_path) -> None:
    environment = {
        **os.environ,
        "PLENUM_HOME": str(tmp_path),
        "PYTHONPATH": str(tmp_path.parent),
        "PLENUM_TOKEN": "secret",
    }
    environment["PYTHONPATH"] = str(__import__("pathlib").Path(__file__).parents[3])
    command = [sys.executable, "-m", "server", "serve", "--http", "127.0.0.1:0", "--demo"]
    server = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        url = re.search(r"(http://\S+)/mcp", server.stderr.readline())[1]
        assert "/?link=" in server.stderr.readline()
        shown = plenum("breaker", "show", "--url", url, PLENUM_TOKEN="secret")
        assert "No breaker has been needed yet." in shown.stdout, shown.stderr
        reset = plenum("breaker", "reset", "--url", url, "--json", PLENUM_TOKEN="secret")
        assert json.loads(reset.stdout) == {"reset": 0, "name": ""}
        assert plenum("breaker", "show", "--url", url, PLENUM_TOKEN="wrong").returncode == 2
        top = plenum("top", "--once", "--url", url, PLENUM_TOKEN="secret", COLUMNS="140")
        assert "sim-west" in top.stdout, top.stderr
    finally:
        server.terminate()
        server.communicate(timeout=20)


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "\u202e", "\x07"])
def test_names_cannot_move_the_cursor(text: str) -> None:
    assert plain(text).isprintable()


def test_a_sparkline_is_as_high_as_its_values() -> None:
    assert spark([0, 1, 2]) == "▁▅█"
    assert spark([]) == ""
