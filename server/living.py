"""Live reload: the app in force is swapped when a configuration file changes; a broken file leaves the old in force.

Requests that run keep the app they began with. Files are looked at, not watched: two `stat`s a second cost nothing and
work on every file system.
"""

import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from routing.background import background

from .app import App
from .config import ConfigFault, Loaded
from .config.world import World
from .context import upstreams
from .examined import configured
from .prices import FILE as PRICES
from .security.keys import FILE

EVERY_S = 1.0
Stamps = Sequence[tuple[str, int, int]]
Build = Callable[[Loaded], Awaitable[App]]
Chores = Callable[[], Awaitable[None]]
_log = logging.getLogger(__name__)


class Living:
    """Stands for the app in force: every attribute is that app's."""

    def __init__(self, app: App) -> None:
        self.app = app

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)


@asynccontextmanager
async def living(world: World, loaded: Loaded, build: Build, chores: Chores) -> AsyncGenerator[Living]:
    """An app that follows its files until the block ends; between two looks at them come the `chores`.

    Raises ConfigFault if the first one cannot be built.
    """
    seen = stamps(loaded, world)
    current = Living(await build(loaded))
    async with background() as tasks:
        tasks.start_soon(_follow, seen, lambda: stamps(loaded, world), lambda: reload(world, build, current), chores)
        yield current


async def _follow(
    seen: Stamps, look: Callable[[], Stamps], changed: Callable[[], Awaitable[bool]], chores: Chores
) -> None:
    while True:
        await anyio.sleep(EVERY_S)
        await chores()
        now = look()
        if now != seen:
            seen = now
            await changed()


async def reload(world: World, build: Build, current: Living) -> bool:
    """Put the files as they are now in force; whether that was possible."""
    try:
        current.app = await build(configured(world))
    except (ConfigFault, ValueError) as fault:
        _log.warning("the changed configuration is not in force, the old one is: %s", fault)
        return False
    _log.info("the changed configuration is in force")
    return True


def stamps(loaded: Loaded, world: World) -> Stamps:
    """The hour, and name, time and size of every file that counts, and of a project file or vault that may appear."""
    folders = world.folders
    files = {
        *loaded.files,
        upstreams.place(loaded),
        world.cwd / "plenum.toml",
        folders.config / "plenum.toml",
        folders.data / FILE,
        folders.data / PRICES,
    }
    hour = "hour", int(time.time() // 3600), 0  # prices may change with it, and models retire
    return [hour, *(stamp for file in sorted(files) if (stamp := _stamp(file)) is not None)]


def _stamp(file: Path) -> tuple[str, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return str(file), found.st_mtime_ns, found.st_size
