"""Against MCP servers nobody here wrote: TypeScript and Python, stdio and HTTP, SDK 1.x, with and without resources."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from tests.doubles import ask
from tests.server.context.bought import bought, python, typescript
from tests.server.context.place import configured, material, opened

pytestmark = pytest.mark.anyio
__all__ = ["bought"]
SLOW = "timeout_s = 30\n"  # a machine with four busy workers


def tool(server: str, name: str, arguments: str) -> str:
    return f'[context.server.{server}]\n{SLOW}tools = [{{ name = "{name}", arguments = {arguments} }}]\n'


async def test_a_file_by_a_named_tool_of_the_filesystem_server(bought: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("The launch code of Heron is 7741.")
    loaded = configured(
        tmp_path,
        {"docs": typescript("filesystem", str(tmp_path))},
        tool("docs", "read_text_file", f'{{ path = "{notes}" }}'),
    )
    async with opened(loaded) as sources:
        told = await sources.add(ask("launch code?", sources=("docs",)))
    assert "Heron is 7741" in material(told)
    assert [(use.server, use.resources) for use in told.context] == [("docs", ("tool:read_text_file",))]


async def test_a_tool_that_writes_is_not_called_though_it_was_named(bought: Path, tmp_path: Path) -> None:
    entry = {"docs": typescript("filesystem", str(tmp_path))}
    loaded = configured(tmp_path, entry, tool("docs", "write_file", f'{{ path = "{tmp_path}/x", content = "y" }}'))
    async with opened(loaded) as sources:
        told = await sources.add(ask(sources=("docs",)))
    assert told.context[0].warnings == ("tool write_file is not read-only, so it is not called",)
    assert not (tmp_path / "x").exists()


async def test_the_resources_of_server_everything_the_nearest_first(bought: Path, tmp_path: Path) -> None:
    toml = f'[context.server.every]\n{SLOW}include = ["demo://resource/static/*"]\nmax_tokens = 1500\n'
    async with opened(configured(tmp_path, {"every": typescript("everything", "stdio")}, toml)) as sources:
        told = await sources.add(ask("How are resource subscriptions handled by the everything server?"))
        assert sources.view()[0].pieces == 7
    use = told.context[0]
    assert any(name.startswith("demo://resource/static/document/") for name in use.resources)
    assert "subscri" in material(told).lower() and 200 < use.tokens <= 1500


async def test_a_templates_instance_a_prompt_and_a_templated_tool(bought: Path, tmp_path: Path) -> None:
    toml = (
        tool("every", "echo", '{ message = "they asked: {prompt}" }')
        + 'include = ["demo://resource/dynamic/text/1"]\nprompts = ["simple-prompt"]\n'
    )
    async with opened(configured(tmp_path, {"every": typescript("everything", "stdio")}, toml)) as sources:
        told = await sources.add(ask("Where is the heron?", sources=("every",)))
    assert set(told.context[0].resources) == {"tool:echo", "prompt:simple-prompt", "demo://resource/dynamic/text/1"}
    assert "they asked: Where is the heron?" in material(told)


async def test_the_graph_of_server_memory(bought: Path, tmp_path: Path) -> None:
    graph = tmp_path / "graph.jsonl"
    entity = {"type": "entity", "name": "Heron", "entityType": "project", "observations": ["ships in May"]}
    graph.write_text(json.dumps(entity) + "\n")
    entry = {**typescript("memory"), "env": {"MEMORY_FILE_PATH": str(graph)}}
    toml = f"[context.server.memory]\n{SLOW}"
    async with opened(configured(tmp_path, {"memory": entry}, toml)) as sources:
        told = await sources.add(ask("When ships the Heron project?"))
    assert "ships in May" in material(told) and told.context[0].resources == ("memory://knowledge-graph",)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_servers_on_sdk_1(bought: Path, tmp_path: Path, mode: str) -> None:
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(tmp_path)]
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "Heron takes off"], check=True)
    toml = tool("git", "git_log", f'{{ repo_path = "{tmp_path}" }}') + f'mode = "{mode}"\n'
    toml += tool("time", "get_current_time", '{ timezone = "Asia/Tokyo" }') + f'mode = "{mode}"\n'
    async with opened(configured(tmp_path, {"git": python("git"), "time": python("time")}, toml)) as sources:
        told = await sources.add(ask("What happened lately?", sources=("git", "time")))
        assert {view.protocol for view in sources.view()} == {"2025-11-25"}
    assert "Heron takes off" in material(told) and "Asia/Tokyo" in material(told)


@pytest.fixture
def everything_over_http(bought: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    entry = typescript("everything", "streamableHttp")
    environment = {**os.environ, "PORT": str(port)}
    command = [entry["command"], *entry["args"]]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            server.kill()


async def test_over_http_even_when_it_starts_later_than_we_do(everything_over_http: str, tmp_path: Path) -> None:
    toml = tool("web", "echo", '{ message = "heron over http" }') + "include = []\n"
    async with opened(configured(tmp_path, {"web": {"type": "http", "url": everything_over_http}}, toml)) as sources:
        with anyio.fail_after(30):
            while not (told := await sources.add(ask(sources=("web",)))).context[0].resources:
                await anyio.sleep(0.1)
    assert "heron over http" in material(told)


def test_ask_from_a_shell_with_the_filesystem_server(bought: Path, tmp_path: Path) -> None:
    """The issue's acceptance, word for word."""
    (tmp_path / "notes.md").write_text("The launch code of Heron is 7741.")
    configured(
        tmp_path,
        {"docs": typescript("filesystem", str(tmp_path)), "every": typescript("everything", "stdio")},
        tool("docs", "read_text_file", f'{{ path = "{tmp_path}/notes.md" }}') + f"[context.server.every]\n{SLOW}",
    )
    docs = _asked(tmp_path, "docs", "What is the launch code?")
    assert "The launch code of Heron is 7741." in docs["answer"]
    assert docs["receipt"]["context"][0]["resources"] == ["tool:read_text_file"]
    every = _asked(tmp_path, "every", "What does the startup document say?")
    assert "demo://resource/static/document/startup.md" in every["receipt"]["context"][0]["resources"]


def _asked(home: Path, source: str, prompt: str) -> dict:
    command = [sys.executable, "-m", "server", "ask", "--json", "--context", source, "--model", "sim/echo", prompt]
    environment = {**os.environ, "PLENUM_HOME": str(home)}
    root = Path(__file__).parents[3]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
