"""`plenum version`, also `plenum COMMAND --version`."""

import typer

from server import VERSION

from . import Common


def register(app: typer.Typer, common: Common) -> None:
    """Add the command."""

    @app.command("version", help="Say which Plenum this is.")
    def _version() -> None:  # pyright: ignore[reportUnusedFunction] - typer keeps it
        common.show({"name": "plenum", "version": VERSION}, f"plenum {VERSION}")
