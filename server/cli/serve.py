"""`plenum serve`: MCP over stdio, or over HTTP with everything else that speaks HTTP. Plain stdio never comes here."""

import os
import secrets
import sys
from collections.abc import Sequence
from typing import Annotated

import anyio
import typer

from server.app import opener
from server.config import Loaded
from server.config.world import World, world
from server.serve import short_way

from . import Common, Exit
from .tokens import virtual


def register(app: typer.Typer, common: Common) -> None:
    """Add the command."""

    @app.command("serve", help="Serve MCP on stdin and stdout, or with --http over Streamable HTTP.")
    def _serve(  # pyright: ignore[reportUnusedFunction]
        http: Annotated[str, typer.Option("--http", metavar="HOST:PORT", help="Serve over HTTP here.")] = "",
        workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes, with --http.")] = 1,
        demo: Annotated[bool, typer.Option("--demo", help="Simulated answers; no key, no cost.")] = False,
    ) -> None:
        if not http and workers > 1:
            raise Exit(2, "Several --workers need --http HOST:PORT: stdio is one process per host.")
        if not http:
            short_way(common.config, demo=demo)
        else:
            _over_http(world(common.config), *_place(http), workers, demo=demo)


def _place(http: str) -> tuple[str, int]:
    host, _, port = http.rpartition(":")
    if not port.isdecimal() or int(port) > 65535 or not host:
        raise Exit(2, f"--http takes HOST:PORT, for example 127.0.0.1:8931; {http!r} is none.")
    return host.strip("[]"), int(port)


def _over_http(here: World, host: str, port: int, workers: int, *, demo: bool) -> None:
    from server.http.link import SHARE, Link, Share
    from server.http.serve import Listen, bound, polite
    from server.http.workers import STATE_KEY, end_with_supervisor, inherited, supervise

    loaded = here.load()
    tokens = _tokens(loaded, host)
    environment = dict(os.environ) | ({"PLENUM_TOKEN": tokens[-1][1]} if tokens else {})
    listening = inherited(os.environ)
    worker = listening is not None
    listening = listening or bound(host, port)
    port = listening.getsockname()[1]
    share = Share.inherited(os.environ) if worker else Share.made() if workers > 1 else None
    link = Link(port, share)
    if not worker:
        sys.stderr.write(f"Plenum serves MCP at http://{host}:{port}/mcp\n")
        sys.stderr.write(f"Dashboard, opens once: http://{host}:{port}{link.path}\n")
        sys.stderr.flush()
    if workers > 1 and share is not None:
        command = _command(here, f"{host}:{port}", demo=demo)
        supervise(listening, workers, command, environment | {SHARE: str(share)}, (share.fd,))
        return
    end_with_supervisor(os.environ)
    http, key = loaded.config.http, os.environ.get(STATE_KEY, "")
    server = polite(
        opener(here, demo=demo, in_flight=http.in_flight),
        Listen(host, port, tokens, http.hosts, http.origins, key, link),
    )
    anyio.run(server.serve, [listening])


def _command(here: World, http: str, *, demo: bool) -> Sequence[str]:
    config = ["--config", str(here.config)] if here.config else []
    return [sys.executable, "-m", "server", "serve", "--http", http, *config, *(["--demo"] if demo else [])]


def _tokens(loaded: Loaded, host: str) -> tuple[tuple[str, str], ...]:
    """The tokens of the configuration, else the environment's, else a generated one told on stderr (loopback only)."""
    if known := loaded.config.http.tokens:
        return tuple((f"http-{number}", token) for number, token in enumerate(known, 1))
    if token := os.environ.get("PLENUM_TOKEN"):
        return (("http", token),)
    if host not in ("127.0.0.1", "localhost", "::1"):
        if loaded.config.http.issuer or anyio.run(virtual, loaded):
            return ()
        raise Exit(
            2,
            f"Without tokens Plenum serves on loopback only, not on {host}. Make one with `plenum tokens create NAME`, "
            "or set [http] tokens.",
        )
    token = secrets.token_urlsafe(24)
    sys.stderr.write(f"Bearer token for this run: {token}\n")
    return (("http", token),)
