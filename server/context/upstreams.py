"""Who is configured: a standard `mcpServers` file read into `Upstream`s. Starts nothing, resolves nothing.

The file is the one other hosts read (`mcpServers`, or VS Code's `servers`); `[context.server.NAME]` of plenum.toml says
what is taken from each.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any, cast
from urllib.parse import urlsplit

from ..config import Config, ConfigFault, Loaded
from ..config.errors import Finding
from ..config.load import is_trusted
from ..config.models import ContextServer

FILE = "mcp.json"
DEPTH = "PLENUM_DEPTH"
_REFERENCE = re.compile(r"\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_OURS = re.compile(r"^(?:plenum|plenum-mcp)(?:$|[@=<>~!\[])", re.IGNORECASE)
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
_RESERVED = ("auto", "none")


@dataclass(frozen=True, slots=True)
class Upstream:
    """One entry. Either `command` (an argument list, no shell) or `url` is set; `skip` says why it is left alone."""

    name: str
    command: tuple[str, ...] = ()
    url: str = ""
    environment: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    cwd: str | None = None
    table: ContextServer = ContextServer()
    skip: str = ""

    @property
    def identity(self) -> str:
        """A digest of what is run or reached: pins belong to it, so editing the entry is approving it anew."""
        said = json.dumps([self.command, self.url, self.cwd])
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    @property
    def shown(self) -> str:
        """The exact command or address, for the terminal."""
        return self.url or " ".join(self.command)


def place(loaded: Loaded) -> Path:
    """The upstreams' file: `[context] file` relative to the plenum.toml that says so, else beside the user's own."""
    said = loaded.config.context.file
    if said is None:
        return loaded.folders.config / FILE
    return _base(loaded) / Path(said).expanduser()


def _base(loaded: Loaded) -> Path:
    """An untrusted project cannot say `[context]`, and its folder must not be where programs are looked up."""
    for file in () if loaded.environment.get("PLENUM_CONTEXT_FILE") else reversed(loaded.files):
        sure = file == loaded.files[0] or is_trusted(file, loaded.folders)
        if sure and "file" in tomllib.loads(file.read_text("utf-8")).get("context", {}):
            return file.resolve().parent
    return loaded.folders.config


def upstreams(loaded: Loaded) -> Sequence[Upstream]:
    """Every entry of the file, in its order. Raises ConfigFault."""
    entries = read(place(loaded))
    if not entries and loaded.config.context.file is None:
        return ()
    return [_upstream(name, entry, loaded) for name, entry in entries.items()]


def read(file: Path) -> dict[str, dict[str, Any]]:
    """The entries by name; a file that is not there has none. Raises ConfigFault."""
    if not file.is_file():
        return {}
    try:
        document: Any = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as fault:
        line = getattr(fault, "lineno", 0)
        raise ConfigFault((Finding(str(file), "mcpServers", line, "is not a JSON file"),)) from None
    table = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    found: Any = table.get("mcpServers", table.get("servers"))
    if not isinstance(found, dict):
        raise ConfigFault((Finding(str(file), "mcpServers", 0, "should be a table of servers"),))
    entries = cast("dict[str, Any]", found)
    wrong = [name for name, entry in entries.items() if fault_of(name, entry)]
    if wrong:
        findings = (Finding(str(file), f"mcpServers.{name}", 0, fault_of(name, entries[name])) for name in wrong)
        raise ConfigFault(tuple(findings))
    return entries


def fault_of(name: str, entry: Any) -> str:
    """What is wrong with an entry; empty if nothing is."""
    if not _NAME.match(name) or name in _RESERVED:
        return "is no name for a server: letters, digits, dots, dashes; neither auto nor none"
    if not isinstance(entry, dict):
        return "should be a table"
    known = cast("dict[str, Any]", entry)
    command, url = known.get("command"), known.get("url") or known.get("serverUrl")
    if isinstance(command, str) == isinstance(url, str):
        return "needs either command or url"
    if not _texts(known.get("args", [])):
        return "args should be a list of texts"
    if not all(isinstance(known.get(key, {}), dict) for key in ("env", "headers")):
        return "env and headers should be tables"
    if url and urlsplit(str(url)).scheme not in ("http", "https"):
        return "url should begin with https:// or http://"
    return ""


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in cast("list[Any]", value))


def _upstream(name: str, entry: dict[str, Any], loaded: Loaded) -> Upstream:
    table = loaded.config.context.server.get(name, ContextServer())
    known = {k: v for k, v in loaded.environment.items() if v}
    command = (str(entry["command"]), *entry.get("args", [])) if entry.get("command") else ()
    return Upstream(
        name,
        tuple(_filled(part, known) for part in command),
        _filled(str(entry.get("url") or entry.get("serverUrl") or ""), known),
        {str(k): _filled(str(v), known) for k, v in entry.get("env", {}).items()},
        {str(k): _filled(str(v), known) for k, v in entry.get("headers", {}).items()},
        entry.get("cwd"),
        table,
        _skipped(entry, table, command),
    )


def _skipped(entry: Mapping[str, Any], table: ContextServer, command: Sequence[str]) -> str:
    if entry.get("disabled") is True or not table.enabled:
        return "disabled"
    if runs_plenum(command):
        return "it runs Plenum itself"
    if entry.get("type") == "sse":
        return "its transport (sse) is older than Streamable HTTP and not spoken here"
    return ""


def runs_plenum(command: Sequence[str]) -> bool:
    """Whether this is Plenum under one of its names: plenum, plenum-mcp, `uvx plenum-mcp`, `python -m server`."""
    names = [PurePath(part.replace("\\", "/")).name.removesuffix(".exe") for part in command]
    module = any(pair == ("-m", "server") for pair in pairwise(command))
    runner = names[:1] and names[0] in ("uvx", "uv", "pipx", "npx", "env", "sh", "bash", "cmd")
    looked = names if runner else names[:2] if names[:1] and names[0].startswith("python") else names[:1]
    return module or any(_OURS.match(name) for name in looked)


def _filled(text: str, environment: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda found: environment.get(found[1], found[2] or ""), text)


def strangers(config: Config, known: Sequence[Upstream]) -> Sequence[str]:
    """Names that have a table in plenum.toml and no entry in the file."""
    return sorted(set(config.context.server) - {upstream.name for upstream in known})
