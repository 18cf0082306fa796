"""`plenum top`: spending, budgets, providers and the newest decisions, redrawn while one watches. `--once` draws once.

The ledger is shared by all of a user's processes; health and breakers are of the server at `--url`, where one is named.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import anyio
import typer

from . import Common
from ._remote import call
from .ask import opened
from .costs import BARS

STYLES = {
    "healthy": "green",
    "closed": "green",
    "degraded": "yellow",
    "half_open": "yellow",
    "unhealthy": "red",
    "open": "red",
}
SHOWN = 12


def register(app: typer.Typer, common: Common) -> None:
    """Add the command."""
    del common
    app.command("top", help="Watch spending, budgets, providers and decisions.")(top)


def top(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Draw once and end.")] = False,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks.")] = 2.0,
    url: Annotated[
        str, typer.Option(envvar="PLENUM_URL", help="A running `plenum serve --http`; else this ledger.")
    ] = "",
    demo: Annotated[bool, typer.Option("--demo")] = False,
) -> None:
    """Watch."""
    common: Common = ctx.obj
    if common.as_json:
        common.show(_remote(url) if url else anyio.run(opened, common, _facts, demo), "")
    elif url:
        _watch_remote(url, every, once=once)
    else:

        async def watch(app: Any) -> None:
            await _watch(app, every, once=once)

        anyio.run(opened, common, watch, demo)


async def _facts(app: Any) -> dict[str, Any]:
    from server.page import facts
    from server.tools.costs import Costs

    return {
        "costs": await facts.costs(app, Costs(), advise=False),
        "health": await facts.health(app),
        "decisions": await facts.decisions(app, SHOWN, None),
        "status": await facts.status(app),
    }


def _remote(url: str) -> dict[str, Any]:
    paths = {
        "costs": "costs?advise=false",
        "health": "health",
        "decisions": f"decisions?limit={SHOWN}",
        "status": "status",
    }
    return {name: call(url, f"/api/{path}") for name, path in paths.items()}


async def _watch(app: Any, every: float, *, once: bool) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if once:
        console.print(screen(await _facts(app)))
        return
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(screen(await _facts(app)), refresh=True)
            await anyio.sleep(every)


def _watch_remote(url: str, every: float, *, once: bool) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if once:
        console.print(screen(_remote(url)))
        return
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(screen(_remote(url)), refresh=True)
            time.sleep(every)


def screen(facts: Mapping[str, Any]) -> Any:
    """All of it, as rich draws it. Names come from callers and models: they are shown as plain text, never as markup."""
    from rich.console import Group
    from rich.text import Text

    costs = facts["costs"]
    head = Text(costs["summary"], style="bold")
    days = [day["usd"] for day in costs["by"].get("day", ())][-30:]
    parts = [head, Text(f"per day {spark(days)}") if len(days) > 1 else Text(""), *_budgets(costs)]
    return Group(*parts, _providers(facts["health"]), _decisions(facts["decisions"]["decisions"]))


def spark(values: Sequence[float]) -> str:
    """A line of bars, the highest full."""
    highest = max(values, default=0.0) or 1.0
    return "".join(BARS[round(value / highest * (len(BARS) - 1))] for value in values)


def _budgets(costs: Mapping[str, Any]) -> list[Any]:
    from rich.text import Text

    lines: list[Any] = []
    for budget in costs.get("budgets", ()):
        limit = budget["limit_usd"]
        used = min(1.0, max(0.0, (limit - budget["remaining_usd"]) / limit)) if limit else 1.0
        full = round(used * 24)
        style = "red" if used >= 1 else "yellow" if used >= 0.8 else "green"
        name = f"{plain(budget['scope'])} per {budget['period']}"
        lines.append(
            Text.assemble(f"{name:<22} ", ("█" * full, style), "░" * (24 - full), f" {used:.0%} of ${limit:g}")
        )
    return lines


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for head in heads:
        table.add_column(
            head.removeprefix("#"),
            justify="right" if head.startswith("#") else "left",
            overflow="ellipsis",
            no_wrap=True,
        )
    for row in rows:
        cells = [plain(str(cell)) for cell in row]
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in cells))
    return table


def _providers(health: Mapping[str, Any]) -> Any:
    rows = [
        (p["provider"], p["status"], p["breaker"], _share(p.get("error_rate")), _seconds(p.get("latency_p50_s")),
         _seconds(p.get("latency_p95_s")), f"${p['spend'].get('today_usd', 0):.4f}")
        for p in health["providers"]
    ]  # fmt: skip
    return _table("\nProviders", ("provider", "health", "breaker", "#errors", "#p50", "#p95", "#today"), rows)


def _decisions(found: Sequence[Mapping[str, Any]]) -> Any:
    rows = [
        ((d["at"] or "")[11:19], d["caller"], f"{d['provider']}/{d['model']}" if d["model"] else "–", _how(d),
         "?" if d["cost_usd"] is None else f"${d['cost_usd']:.4f}", _seconds(d["latency_s"]), len(d["attempts"]))
        for d in found[:SHOWN]
    ]  # fmt: skip
    return _table("\nDecisions (UTC)", ("at", "caller", "model", "how", "#cost", "#time", "#attempts"), rows)


def _how(decision: Mapping[str, Any]) -> str:
    if "error" in decision:
        return decision["error"]["code"]
    return decision["cached"] if decision["cached"] != "no" else decision["strategy"]


def plain(text: str) -> str:
    """Without what would move a terminal's cursor."""
    return "".join(character if character.isprintable() else "�" for character in text)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} s"
