"""`plenum install HOST`: what is written, what is kept, what is refused."""

import json
import os
import subprocess
import sys
import tomllib
from itertools import takewhile
from pathlib import Path

import pytest

from server.hosts import HOSTS, Place, Unreadable, installed, removed, snippet, started_by

EVERY = pytest.mark.parametrize("name", HOSTS)
THEIRS = {
    "json": '{\n    "theme": "dark",\n    "%s": {\n        "other": {"command": "x"}\n    }\n}\n',
    "toml": '# mine\nmodel = "x"\n\n[%s.other]\ncommand = "x"\n',
    "yaml": "# mine\nGOOSE_MODEL: x\n%s:\n  other:\n    cmd: x\n    enabled: true\n",
}


def place(home: Path, system: str = "Linux") -> Place:
    return Place(system, home, {})


def entry(host, text: str) -> dict:
    if host.format == "toml":
        return tomllib.loads(text)[host.key]["plenum"]
    if host.format == "json":
        return json.loads(text)[host.key]["plenum"]
    block = text.split("  plenum:\n")[1].splitlines()
    own = takewhile(lambda line: line.startswith("    "), block)
    pairs = [line.strip().partition(": ") for line in own]
    return {key: json.loads(value) for key, _, value in pairs}


@EVERY
def test_a_file_that_is_not_there_is_made_with_just_the_entry(name: str, tmp_path: Path) -> None:
    host = HOSTS[name]
    file = host.file(place(tmp_path))
    installed(host, file).write()
    assert entry(host, file.read_text()) == dict(host.entry)
    assert file.read_text() == snippet(host)
    assert file.stat().st_mode & 0o777 == 0o600


@EVERY
def test_what_is_there_is_kept_and_installing_twice_is_once(name: str, tmp_path: Path) -> None:
    host = HOSTS[name]
    file = tmp_path / "config"
    file.write_text(theirs := THEIRS[host.format] % host.key)
    file.chmod(0o644)
    installed(host, file).write()
    once = file.read_text()
    assert entry(host, once) == dict(host.entry)
    assert "other" in once
    assert ("dark" if host.format == "json" else "# mine") in once
    assert not installed(host, file).needed
    assert file.stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "config.plenum-backup").read_text() == theirs
    removed(host, file).write()
    assert "plenum" not in file.read_text()
    if host.format == "json":
        assert json.loads(file.read_text()) == json.loads(theirs)
    else:
        assert file.read_text() == theirs


@EVERY
def test_no_entry_holds_a_secret_and_every_one_runs_the_same_command(name: str) -> None:
    text = json.dumps(HOSTS[name].entry)
    assert "uvx" in text
    assert "plenum-mcp" in text
    assert not any(word in text.lower() for word in ("key", "token", "secret", "${"))


@pytest.mark.parametrize("text", ['{"a": 1,}', "// comment\n{}", "[]", '{"mcpServers": []}'])
def test_a_file_that_rewriting_would_harm_is_left_alone(text: str, tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text(text)
    with pytest.raises(Unreadable, match="by hand"):
        installed(HOSTS["cursor"], file)
    assert file.read_text() == text


def test_broken_toml_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[broken")
    with pytest.raises(Unreadable, match="not TOML"):
        installed(HOSTS["codex"], file)


def test_places_differ_by_system(tmp_path: Path) -> None:
    desktop = HOSTS["claude-desktop"]
    assert desktop.file(place(tmp_path)) == tmp_path / ".config/Claude/claude_desktop_config.json"
    mac = desktop.file(place(tmp_path, "Darwin"))
    assert mac == tmp_path / "Library/Application Support/Claude/claude_desktop_config.json"
    windows = Place("Windows", tmp_path, {"APPDATA": str(tmp_path / "R")})
    assert desktop.file(windows) == tmp_path / "R/Claude/claude_desktop_config.json"


def test_the_command_prints_writes_and_undoes(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "server", "install", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)}, timeout=60
        )

    file = tmp_path / ".cursor/mcp.json"
    shown = run("cursor", "--print", "--json")
    assert json.loads(shown.stdout)["file"] == str(file)
    assert not file.exists()
    assert run("cursor").returncode == 0
    assert json.loads(file.read_text())["mcpServers"]["plenum"]["command"] == "uvx"
    assert run("cursor", "--undo").returncode == 0
    assert json.loads(file.read_text()) == {"mcpServers": {}}
    wrong = run("curser")
    assert (wrong.returncode, "did you mean cursor" in wrong.stderr) == (2, True)


@EVERY
def test_an_entry_may_start_this_very_program_and_is_taken_out_like_any_other(name: str, tmp_path: Path) -> None:
    own = started_by(HOSTS[name], tmp_path / "bin/plenum-mcp")
    file = tmp_path / "config"
    installed(own, file).write()
    written = entry(own, file.read_text())
    assert written.get("command", written.get("cmd")) == str(tmp_path / "bin/plenum-mcp")
    assert written["args"] == []
    assert {k: v for k, v in written.items() if k not in ("command", "cmd", "args")} == {
        k: v for k, v in HOSTS[name].entry.items() if k not in ("command", "cmd", "args")
    }
    assert installed(HOSTS[name], file).needed
    removed(own, file).write()
    assert "plenum-mcp" not in file.read_text()
