"""Real hosts from npm as subprocesses: an empty environment, a home to throw away, Plenum's demo over stdio, a fake model."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "conformance"))

import node

ROOT = Path(__file__).parents[2]
LONGEST_S = 240
CLAUDE, CODEX, GEMINI = "@anthropic-ai/claude-code", "@openai/codex", "@google/gemini-cli"
SCRIPTS = {CLAUDE: "cli-wrapper.cjs", CODEX: "bin/codex.js", GEMINI: "bundle/gemini.js"}


@dataclass(frozen=True)
class Place:
    """Where a host runs: its home, the folder it works in, and where its model is."""

    home: Path
    work: Path
    model: str

    @classmethod
    def below(cls, folder: Path, model: str) -> "Place":
        place = cls(folder / "home", folder / "work", model)
        place.home.mkdir()
        place.work.mkdir()
        return place

    def environment(self, **more: str) -> dict[str, str]:
        path = f"{node.node().parent}:/usr/bin:/bin"
        return {"HOME": str(self.home), "PATH": path, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **more}

    def entry(self) -> dict[str, Any]:
        """Plenum as a host starts it, on the simulator."""
        env = {"PLENUM_HOME": str(self.home / "plenum")}
        start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from server.__main__ import main; main()"
        return {"command": sys.executable, "args": ["-c", start, "serve", "--demo"], "env": env}


def tool(package: str, arguments: list[str], place: Place, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a host's own command line. Raises node.Unreachable."""
    script = node.package(package) / SCRIPTS[package]
    return subprocess.run(
        [str(node.node()), str(script), *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=place.work,
        env=place.environment(**environment),
        timeout=LONGEST_S,
    )


def claude(place: Place, prompt: str) -> "subprocess.CompletedProcess[str]":
    """Claude Code as people have it: tool search on, so that only pinned tools are in the prompt."""
    config = place.home / "mcp.json"
    config.write_text(json.dumps({"mcpServers": {"plenum": place.entry()}}))
    arguments = ["-p", prompt, "--mcp-config", str(config), "--strict-mcp-config", "--allowedTools", "mcp__plenum"]
    quiet = ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_TELEMETRY", "DISABLE_AUTOUPDATER")
    return tool(
        CLAUDE,
        [*arguments, "--model", "claude-sonnet-4-5", "--output-format", "json"],
        place,
        ANTHROPIC_BASE_URL=place.model,
        ANTHROPIC_API_KEY="dummy",
        DISABLE_ERROR_REPORTING="1",
        **dict.fromkeys(quiet, "1"),
    )


def codex(place: Place, prompt: str) -> "subprocess.CompletedProcess[str]":
    """Codex in `exec` mode, approvals never: a tool without readOnlyHint would be refused."""
    entry = place.entry()
    folder = place.home / ".codex"
    folder.mkdir()
    environment = ", ".join(f"{name} = {json.dumps(value)}" for name, value in entry["env"].items())
    (folder / "config.toml").write_text(
        f"""model = "fake"
model_provider = "fake"
[model_providers.fake]
name = "fake"
base_url = "{place.model}/v1"
wire_api = "responses"
env_key = "FAKE_KEY"
[analytics]
enabled = false
[otel]
exporter = "none"
[mcp_servers.plenum]
command = {json.dumps(entry["command"])}
args = {json.dumps(entry["args"])}
env = {{ {environment} }}
required = true
startup_timeout_sec = 60
"""
    )
    return tool(CODEX, ["exec", "--skip-git-repo-check", "-s", "read-only", prompt], place, FAKE_KEY="dummy")


def gemini(place: Place, prompt: str) -> "subprocess.CompletedProcess[str]":
    """Gemini CLI with the server trusted."""
    folder = place.home / ".gemini"
    folder.mkdir()
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
        "telemetry": {"enabled": False},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"disableAutoUpdate": True, "disableUpdateNag": True},
        "mcpServers": {"plenum": {**place.entry(), "trust": True, "timeout": 120_000}},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    return tool(
        GEMINI,
        ["-p", prompt, "--yolo", "--skip-trust", "--model", "gemini-2.5-flash"],
        place,
        GEMINI_API_KEY="dummy",
        GOOGLE_GEMINI_BASE_URL=place.model,
        NO_COLOR="1",
        **({"TERM": os.environ["TERM"]} if "TERM" in os.environ else {}),
    )
