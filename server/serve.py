"""Serving: an opener of the app in, a transport out. The stdio path imports nothing but mcp, anyio, pydantic and stdlib."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from server.app import App

    Opener = Callable[[], AbstractAsyncContextManager[App]]


async def serve_stdio(opener: "Opener") -> None:
    """MCP on this process's stdin and stdout until the input ends or a signal comes."""
    from server.face import face
    from server.garbage import begin, settle
    from server.house import House
    from server.mcp import stdio
    from server.telemetry import watch

    house = House(opener)
    server = face(house, telemetry=watch(house, os.environ))
    house.app.watchers.append(settle)
    begin()
    await stdio.run(server)


def short_way(config: Path | None = None, *, demo: bool = False) -> None:
    """`plenum serve` on stdio. The app's own imports wait for the first call."""

    def opener() -> AbstractAsyncContextManager["App"]:
        from server.app import opener as app_of
        from server.config.world import world

        return app_of(world(config), demo=demo)()

    anyio.run(partial(serve_stdio, opener))


def short(argv: Sequence[str]) -> tuple[Path | None, bool] | None:
    """The configuration file and whether it is a demo, when these arguments ask for stdio and nothing else."""
    if list(argv[:1]) != ["serve"]:
        return None
    config, demo, words = None, False, iter(argv[1:])
    for word in words:
        if word == "--demo":
            demo = True
        elif word == "--config" and (file := next(words, "")):
            config = Path(file).expanduser()
        elif word.startswith("--config="):
            config = Path(word.partition("=")[2]).expanduser()
        else:
            return None
    return config, demo
