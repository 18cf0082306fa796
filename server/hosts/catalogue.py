"""The nine hosts: file, format and form of an entry (guide hosts-and-ux §8). Pure."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

Format = Literal["json", "toml", "yaml"]
NAME = "plenum"
COMMAND = "uvx"
ARGUMENTS = ("plenum-mcp",)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a user's files are. `system` as `platform.system()` says it."""

    system: str
    home: Path
    environment: Mapping[str, str]

    @property
    def configs(self) -> Path:
        """The folder for applications' configuration."""
        if self.system == "Windows":
            return Path(self.environment.get("APPDATA") or self.home / "AppData/Roaming")
        if self.system == "Darwin":
            return self.home / "Library/Application Support"
        return Path(self.environment.get("XDG_CONFIG_HOME") or self.home / ".config")


@dataclass(frozen=True, slots=True)
class Host:
    """One host. `key` is the table its servers are in; `entry` what stands under the server's name."""

    name: str
    title: str
    format: Format
    key: str
    file: Callable[[Place], Path]
    entry: Mapping[str, Any]
    note: str = ""


_PLAIN: Mapping[str, Any] = {"command": COMMAND, "args": list(ARGUMENTS)}
_GOOSE: Mapping[str, Any] = {
    "name": NAME,
    "type": "stdio",
    "enabled": True,
    "cmd": COMMAND,
    "args": list(ARGUMENTS),
    "envs": {},
    "timeout": 300,
}


def _zed(place: Place) -> Path:
    if place.system == "Windows":
        return place.configs / "Zed/settings.json"
    return place.home / ".config/zed/settings.json" if place.system == "Darwin" else place.configs / "zed/settings.json"


def _goose(place: Place) -> Path:
    if place.system == "Windows":
        return place.configs / "Block/goose/config/config.yaml"
    return place.home / ".config/goose/config.yaml"


HOSTS: Mapping[str, Host] = {
    host.name: host
    for host in (
        Host(
            "claude-desktop",
            "Claude Desktop",
            "json",
            "mcpServers",
            lambda place: place.configs / "Claude/claude_desktop_config.json",
            _PLAIN,
            "Quit and start Claude Desktop again.",
        ),
        Host(
            "claude-code",
            "Claude Code",
            "json",
            "mcpServers",
            lambda place: place.home / ".claude.json",
            {"type": "stdio", **_PLAIN},
            "Check with /mcp in a new session.",
        ),
        Host(
            "cursor",
            "Cursor",
            "json",
            "mcpServers",
            lambda place: place.home / ".cursor/mcp.json",
            _PLAIN,
            "Switch it on under Settings, Tools.",
        ),
        Host(
            "vscode",
            "VS Code",
            "json",
            "servers",
            lambda place: place.configs / "Code/User/mcp.json",
            {"type": "stdio", **_PLAIN},
            "Start it from the file's code lens.",
        ),
        Host(
            "codex",
            "Codex CLI",
            "toml",
            "mcp_servers",
            lambda place: Path(place.environment.get("CODEX_HOME") or place.home / ".codex") / "config.toml",
            {**_PLAIN, "required": True, "tool_timeout_sec": 300},
            "required = true makes the first turn wait for the tools.",
        ),
        Host(
            "gemini",
            "Gemini CLI",
            "json",
            "mcpServers",
            lambda place: place.home / ".gemini/settings.json",
            {**_PLAIN, "timeout": 600_000},
            "Check with /mcp.",
        ),
        Host(
            "zed",
            "Zed",
            "json",
            "context_servers",
            _zed,
            {"source": "custom", **_PLAIN, "env": {}},
            "Zed cuts calls at 60 s; Plenum hands over what there is before that.",
        ),
        Host("goose", "Goose", "yaml", "extensions", _goose, _GOOSE, "Start a new session."),
        Host(
            "lmstudio",
            "LM Studio",
            "json",
            "mcpServers",
            lambda place: place.home / ".lmstudio/mcp.json",
            _PLAIN,
            "Switch it on in the Program tab.",
        ),
    )
}


def started_by(host: Host, program: Path) -> Host:
    """The host with an entry that starts this very program, for who runs a clone or an environment of their own."""
    own: dict[str, Any] = {"command": str(program), "cmd": str(program), "args": []}
    return replace(host, entry={key: own.get(key, value) for key, value in host.entry.items()})


def snippet(host: Host) -> str:
    """The entry as it stands in the host's file, whole."""
    if host.format == "toml":
        return toml(host)
    if host.format == "yaml":
        return f"{host.key}:\n{yaml(host)}"
    return json.dumps({host.key: {NAME: dict(host.entry)}}, indent=2) + "\n"


def toml(host: Host) -> str:
    """The entry as a TOML table."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in host.entry.items()]
    return "\n".join([f"[{host.key}.{NAME}]", *lines]) + "\n"


def yaml(host: Host, indent: str = "  ") -> str:
    """The entry as a YAML block; every value is also JSON, which YAML takes."""
    lines = [f"{indent}  {key}: {json.dumps(value)}" for key, value in host.entry.items()]
    return "\n".join([f"{indent}{NAME}:", *lines]) + "\n"
