"""`plenum version`, also `plenum COMMAND --version`."""

from importlib.metadata import version

import typer

from . import Common


def register(app: typer.Typer, common: Common) -> None:
    """Add the command."""

    @app.command("version", help="Say which Plenum this is.")
    def _version() -> None:  # pyright: ignore[reportUnusedFunction] - typer keeps it
        number = version("plenum-mcp")
        common.show({"name": "plenum", "version": number}, f"plenum {number}")
