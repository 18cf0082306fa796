"""The standard `mcpServers` file: read, skipped, refused; what a project may not smuggle in."""

import json
from pathlib import Path

import pytest

from server.config import ConfigFault
from server.config.load import Folders, load
from server.context.examine import examined
from server.context.upstreams import place, runs_plenum, upstreams
from tests.server.context.place import configured

ROOT = Path(__file__).parents[3]


def test_the_example_is_valid_and_secrets_come_from_the_environment(tmp_path: Path) -> None:
    servers = json.loads((ROOT / "docs/examples/upstreams.json").read_text())["mcpServers"]
    found = upstreams(configured(tmp_path, servers, "", {"MEMORY_FILE": "/m", "WIKI_TOKEN": "w-1"}))
    assert [(u.name, u.skip) for u in found] == [("docs", ""), ("history", ""), ("memory", ""), ("wiki", "disabled")]
    assert found[2].environment == {"MEMORY_FILE_PATH": "/m"} and found[3].headers == {"Authorization": "Bearer w-1"}
    assert "w-1" not in repr(found)


@pytest.mark.parametrize(
    "command",
    [
        ("plenum",),
        ("/usr/local/bin/plenum-mcp", "serve"),
        ("uvx", "plenum-mcp"),
        ("uvx", "plenum-mcp@latest", "serve"),
        ("uvx", "--from", "plenum-mcp", "plenum"),
        ("pipx", "run", "plenum-mcp"),
        ("python3", "-m", "server"),
        ("uv", "run", "python", "-m", "server", "serve"),
        ("C:\\Tools\\plenum.exe",),
    ],
)
def test_plenum_is_known_by_every_name_it_runs_under(command: tuple[str, ...]) -> None:
    assert runs_plenum(command)


@pytest.mark.parametrize(
    "command",
    [("npx", "-y", "server-filesystem", "notes/plenum-notes"), ("node", "plenum"), ("python", "server.py")],
)
def test_others_are_not_taken_for_plenum(command: tuple[str, ...]) -> None:
    assert not runs_plenum(command)


def test_doctor_names_what_is_skipped_missing_or_unknown(tmp_path: Path) -> None:
    servers = {
        "self": {"command": "uvx", "args": ["plenum-mcp"]},
        "gone": {"command": "no-such-program-here"},
        "web": {"url": "http://wiki.example.com/mcp", "headers": {"Authorization": "x"}},
    }
    said = [remark.message for remark in examined(configured(tmp_path, servers, "[context.server.other]\nttl_s = 5"))]
    assert said[0] == "self is skipped: it runs Plenum itself"
    assert "its program was not found" in said[1]
    assert said[3] == "web: its headers travel unencrypted"
    assert said[4].startswith("[context.server.other] has no entry")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not a JSON file"),
        ("[]", "should be a table of servers"),
        ('{"mcpServers": []}', "should be a table of servers"),
        ('{"mcpServers": {"auto": {"command": "x"}}}', "is no name for a server"),
        ('{"mcpServers": {"a/b": {"command": "x"}}}', "is no name for a server"),
        ('{"mcpServers": {"a": 1}}', "should be a table"),
        ('{"mcpServers": {"a": {}}}', "needs either command or url"),
        ('{"mcpServers": {"a": {"command": "x", "args": "y"}}}', "args should be a list"),
        ('{"mcpServers": {"a": {"url": "file:///etc/passwd"}}}', "url should begin with"),
        ('{"mcpServers": {"a": {"command": "x", "env": []}}}', "env and headers should be tables"),
    ],
)
def test_a_wrong_file_is_refused_with_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    loaded = configured(tmp_path, {})
    (tmp_path / "mcp.json").write_text(text)
    with pytest.raises(ConfigFault, match="mcpServers") as fault:
        upstreams(loaded)
    assert said in str(fault.value)


def test_no_file_means_no_upstreams(tmp_path: Path) -> None:
    assert upstreams(load(None, {}, Folders(tmp_path, tmp_path))) == ()


def test_an_untrusted_project_cannot_start_programs(tmp_path: Path) -> None:
    home, project = tmp_path / "home", tmp_path / "project"
    home.mkdir()
    project.mkdir()
    (project / "plenum.toml").write_text('[context]\nfile = "mcp.json"\n')
    (project / "mcp.json").write_text('{"mcpServers": {"evil": {"command": "rm"}}}')
    loaded = load(None, {}, Folders(home, home), project / "plenum.toml")
    assert place(loaded).parent == home and upstreams(loaded) == ()
    (home / "plenum.toml").write_text('[context]\nfile = "mine.json"\n')
    loaded = load(None, {}, Folders(home, home), project / "plenum.toml")
    assert place(loaded) == home / "mine.json"
