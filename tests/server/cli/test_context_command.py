"""`plenum context …` as a person uses it, against an upstream of this folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.server.context.place import odd, reads

ROOT = Path(__file__).parents[3]


def plenum(home: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "server", "context", *args]
    known = {k: v for k, v in os.environ.items() if not k.startswith("PLENUM_")}
    env = {**known, "PLENUM_HOME": str(home), **environment}
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_add_look_test_disable_enable_remove(tmp_path: Path) -> None:
    (tmp_path / "plenum.toml").write_text(reads("birds", timeout_s=10))
    entry = odd(tmp_path, "healthy", "Herons nest in colonies.")
    added = plenum(tmp_path, "add", "birds", "--env", "KEY=${BIRD_KEY}", "--", entry["command"], *entry["args"])
    assert added.returncode == 0, added.stderr
    written = json.loads((tmp_path / "mcp.json").read_text())["mcpServers"]["birds"]
    assert written == {**entry, "env": {"KEY": "${BIRD_KEY}"}}
    shown = json.loads(plenum(tmp_path, "list", "--json").stdout)["servers"]
    assert shown[0]["server"] == "birds" and entry["args"][0] in shown[0]["runs"]
    valid = plenum(tmp_path, "validate")
    assert valid.returncode == 0 and valid.stdout.startswith("birds: ready (MCP 2025-11-25, 1 pieces)")
    told = json.loads(plenum(tmp_path, "test", "--json", "Where do herons nest?").stdout)
    assert "Herons nest in colonies." in told["material"] and told["context"][0]["resources"] == ["tool:read"]
    assert "Nothing would be added." in plenum(tmp_path, "test", "2+3?").stdout
    assert plenum(tmp_path, "disable", "birds").returncode == 0
    assert "disabled" in plenum(tmp_path, "list").stdout
    assert plenum(tmp_path, "enable", "birds").returncode == 0
    assert "Herons nest" in plenum(tmp_path, "fetch", "birds").stdout
    assert plenum(tmp_path, "remove", "birds").returncode == 0
    assert "Nobody is configured." in plenum(tmp_path, "list").stdout


def test_wrong_entries_are_refused_with_what_is_wrong(tmp_path: Path) -> None:
    for words in (["auto", "--url", "http://127.0.0.1:1/mcp"], ["x"], ["x", "--url", "ftp://a"], ["x", "--env", "A"]):
        refused = plenum(tmp_path, "add", *words)
        assert refused.returncode == 2 and refused.stderr
    gone = plenum(tmp_path, "remove", "nobody")
    assert gone.returncode == 2 and "plenum context list" in gone.stderr
    (tmp_path / "mcp.json").write_text('{"mcpServers": {"a": {"command": 3}}}')
    broken = plenum(tmp_path, "list")
    assert broken.returncode == 2 and "mcpServers.a" in broken.stderr


def test_an_upstream_that_fails_is_named_and_the_exit_says_so(tmp_path: Path) -> None:
    servers = {"gone": {"command": "no-such-program-at-all"}}
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": servers}))
    failed = plenum(tmp_path, "validate")
    assert failed.returncode == 1 and "its program was not found" in failed.stdout
