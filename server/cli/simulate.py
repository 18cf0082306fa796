"""`plenum simulate`: the provider simulator as an HTTP server, in every dialect, faults included."""

from pathlib import Path
from typing import Annotated

import anyio
import typer

from providers.simulator import Scenario, ScenarioError, load_scenario
from providers.simulator.server import serve

from . import Common, Exit

WIRES = ("openai/v1", "anthropic", "gemini/v1beta", "ollama", "cohere")


def register(app: typer.Typer, common: Common) -> None:
    """Add the command."""

    @app.command("simulate", help="Serve simulated providers over HTTP, in every dialect, until interrupted.")
    def _simulate(  # pyright: ignore[reportUnusedFunction]
        port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 0,
        scenario: Annotated[Path | None, typer.Option(help="TOML or JSON: latencies, faults, answers.")] = None,
    ) -> None:
        try:
            anyio.run(_serve, read(scenario), port, common)
        except KeyboardInterrupt:
            raise Exit(0) from None


def read(file: Path | None) -> Scenario:
    """The scenario of this file, the plain one where none is named. Raises Exit(2)."""
    if file is None:
        return Scenario()
    try:
        return load_scenario(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        raise Exit(2, f"{file} cannot be read as text. Name a TOML or JSON file.") from None
    except ScenarioError as fault:
        raise Exit(2, f"{file}: {fault}") from None


async def _serve(scenario: Scenario, port: int, common: Common) -> None:
    async with serve(scenario, port=port) as base:
        urls = {wire.partition("/")[0]: f"{base}/{wire}" for wire in WIRES}
        common.show({"base_url": base, "wires": urls}, "\n".join(f"{name:10} {url}" for name, url in urls.items()))
        await anyio.sleep_forever()
