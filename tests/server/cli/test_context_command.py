"""`plenum context …` as a person uses it, against an upstream of this folder."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from server.cli import run
from tests.server.context.place import odd, reads


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def plenum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """The command in this process: a start of Python for each would cost ten seconds."""
    monkeypatch.setenv("PLENUM_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def command(*args: str) -> Done:
        status = run(["context", *args])
        return Done(status, *capsys.readouterr())

    return command


def test_add_look_test_disable_enable_remove(tmp_path: Path, plenum: Callable[..., Done]) -> None:
    (tmp_path / "plenum.toml").write_text(reads("birds", timeout_s=10))
    entry = odd(tmp_path, "healthy", "Herons nest in colonies.")
    added = plenum("add", "birds", "--env", "KEY=${BIRD_KEY}", "--", entry["command"], *entry["args"])
    assert added.returncode == 0, added.stderr
    written = json.loads((tmp_path / "mcp.json").read_text())["mcpServers"]["birds"]
    assert written == {**entry, "env": {"KEY": "${BIRD_KEY}"}}
    shown = json.loads(plenum("list", "--json").stdout)["servers"]
    assert shown[0]["server"] == "birds" and entry["args"][0] in shown[0]["runs"]
    valid = plenum("validate")
    assert valid.returncode == 0 and valid.stdout.startswith("birds: ready (MCP 2025-11-25, 1 pieces)")
    told = json.loads(plenum("test", "--json", "Where do herons nest?").stdout)
    assert "Herons nest in colonies." in told["material"] and told["context"][0]["resources"] == ["tool:read"]
    assert "Nothing would be added." in plenum("test", "2+3?").stdout
    assert plenum("disable", "birds").returncode == 0
    assert "disabled" in plenum("list").stdout
    assert plenum("enable", "birds").returncode == 0
    assert "Herons nest" in plenum("fetch", "birds").stdout
    assert plenum("remove", "birds").returncode == 0
    assert "Nobody is configured." in plenum("list").stdout


def test_wrong_entries_are_refused_with_what_is_wrong(tmp_path: Path, plenum: Callable[..., Done]) -> None:
    for words in (["auto", "--url", "http://127.0.0.1:1/mcp"], ["x"], ["x", "--url", "ftp://a"], ["x", "--env", "A"]):
        refused = plenum("add", *words)
        assert refused.returncode == 2 and refused.stderr
    gone = plenum("remove", "nobody")
    assert gone.returncode == 2 and "plenum context list" in gone.stderr
    (tmp_path / "mcp.json").write_text('{"mcpServers": {"a": {"command": 3}}}')
    broken = plenum("list")
    assert broken.returncode == 2 and "mcpServers.a" in broken.stderr


def test_an_upstream_that_fails_is_named_and_the_exit_says_so(tmp_path: Path, plenum: Callable[..., Done]) -> None:
    servers = {"gone": {"command": "no-such-program-at-all"}}
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": servers}))
    failed = plenum("validate")
    assert failed.returncode == 1 and "its program was not found" in failed.stdout
