"""`plenum breaker show | reset`: the circuit breakers of a running HTTP server. Each process has its own, in memory:

those of a stdio server are seen in its host, as `plenum://providers`, and end with it.
"""

from typing import Annotated, Any

import typer

from . import Common
from ._remote import URL, call

Url = Annotated[str, typer.Option("--url", envvar="PLENUM_URL", help="A running `plenum serve --http`.")]


def register(app: typer.Typer, common: Common) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Look at a running HTTP server's circuit breakers, and close them.")
    app.add_typer(group, name="breaker")

    @group.command("show", help="Every breaker and hold of the server at --url. Each process has its own.")
    def _show(url: Url = URL) -> None:  # pyright: ignore[reportUnusedFunction]
        found = call(url, "/api/health")["breakers"]
        common.show({"breakers": found}, table(found))

    @group.command("reset", help="Close breakers and forget holds: of a provider, of provider/model, or of all.")
    def _reset(name: str = typer.Argument(""), url: Url = URL) -> None:  # pyright: ignore[reportUnusedFunction]
        found = call(url, "/api/breakers", {"name": name})
        common.show(found, f"{found['reset']} closed{f' for {name}' if name else ''}; traffic decides from here on.")


def table(found: list[dict[str, Any]]) -> str:
    """A line per breaker."""
    if not found:
        return "No breaker has been needed yet."
    return "\n".join(_line(one) for one in found)


def _line(one: dict[str, Any]) -> str:
    name = f"{one['provider']}/{one['model']}" if one["model"] else one["provider"]
    wait = f", for {one['for_s']:.0f} s" if one["for_s"] else ""
    why = f" ({one['reason']}{wait})" if one["reason"] else ""
    return f"{name}: {one['state'].replace('_', '-')}, {one['failures']} failures{why}"
