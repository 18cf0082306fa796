"""A configuration with upstreams, opened as the server opens it."""

import json
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from routing.types import Ask
from server.config import Loaded
from server.config.load import Folders, load
from server.context.service import Contexts, contexts
from tests.doubles import Listed, sim

ODD = Path(__file__).with_name("odd_upstream.py")
LOCAL, REMOTE = sim("here", local=True), sim("there")


def odd(folder: Path, behaviour: str = "healthy", *words: str, **entry) -> dict:
    return {
        "command": sys.executable,
        "args": [str(ODD), behaviour, str(folder / f"{behaviour}.pids"), *words],
        **entry,
    }


def configured(
    folder: Path, servers: Mapping[str, dict], toml: str = "", environment: Mapping[str, str] = {}
) -> Loaded:
    (folder / "mcp.json").write_text(json.dumps({"mcpServers": servers}))
    (folder / "plenum.toml").write_text(toml)
    return load(folder / "plenum.toml", environment, Folders(folder, folder))


def reads(*names: str, timeout_s: float = 2, more: str = "") -> str:
    """The odd upstream's tool is taken of each."""
    return "\n".join(
        f'[context.server.{name}]\ntools = [{{ name = "read" }}]\ninclude = []\ntimeout_s = {timeout_s}\n{more}'
        for name in names
    )


@asynccontextmanager
async def opened(loaded: Loaded, *deployments, observer=lambda event: None) -> AsyncGenerator[Contexts]:
    async with contexts(loaded.folders.data, loaded.environment, observer) as sources:
        sources.adopt(loaded, Listed(deployments or (REMOTE,)))
        yield sources


def material(ask: Ask) -> str:
    """What was put before the question."""
    return "".join(turn.text for turn in ask.request.messages[:-1])


def alive(folder: Path) -> list[int]:
    """Processes of odd upstreams that run."""
    pids = {int(line) for file in folder.glob("*.pids") for line in file.read_text().split()}
    return [pid for pid in pids if _runs(pid)]


async def all_gone(folder: Path) -> bool:
    """Whether they have all ended; a killed one needs a moment."""
    with anyio.move_on_after(2):
        while alive(folder):
            await anyio.sleep(0.01)
    return not alive(folder)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
