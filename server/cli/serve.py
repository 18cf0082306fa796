"""`plenum serve`: MCP over stdio, or over HTTP with everything else that speaks HTTP. Plain stdio never comes here."""

from typing import Annotated

import typer

from server.serve import short_way

from . import Common, Exit


def register(app: typer.Typer, common: Common) -> None:
    """Add the command."""

    @app.command("serve", help="Serve MCP on stdin and stdout, or with --http over Streamable HTTP.")
    def _serve(  # pyright: ignore[reportUnusedFunction]
        http: Annotated[str, typer.Option("--http", metavar="HOST:PORT", help="Serve over HTTP here.")] = "",
        workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes, with --http.")] = 1,
        demo: Annotated[bool, typer.Option("--demo", help="Simulated answers; no key, no cost.")] = False,
    ) -> None:
        if not http:
            short_way(common.config, demo=demo)
            return
        raise Exit(2, "HTTP is not served yet.")
