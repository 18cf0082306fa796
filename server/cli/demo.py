"""`plenum demo`."""

import anyio
import typer

from . import Common, Exit


def register(app: typer.Typer, common: Common) -> None:
    """Add the command."""

    @app.command("demo", help="Show the main job on simulated providers: no key, no cost.")
    def _demo() -> None:  # pyright: ignore[reportUnusedFunction]
        from server.demo import demonstrate

        told: list[str] = []
        faults = anyio.run(demonstrate, told.append if common.as_json else print)
        if common.as_json:
            common.show({"transcript": told, "faults": list(faults)}, "")
        if faults:
            raise Exit(1, "\n".join(faults))
