"""`plenum prices [refresh | reset]`: what each model costs here and who says so; a newer table only when it is asked for."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from providers.catalog.published import URL, NotATable
from providers.catalog.snapshot import snapshot
from routing.types import Deployment
from server import prices
from server.config.world import world
from server.proxies import proxies
from server.rehearsal import configured
from server.security.evidence import note

from . import Common, Exit
from ._columns import columns


def register(app: typer.Typer, common: Common) -> None:
    """Add the commands."""
    del common
    group = typer.Typer(invoke_without_command=True, help="What models cost here, who says so, where two disagree.")
    app.add_typer(group, name="prices")
    group.callback()(shown)
    group.command("refresh", help="Fetch today's table from models.dev. Nothing is ever fetched unasked.")(refresh)
    group.command("reset", help="Go back to the table that came with Plenum.")(reset)


def shown(ctx: typer.Context) -> None:
    """Show what is in force."""
    if ctx.invoked_subcommand is not None:
        return
    common: Common = ctx.obj
    loaded = world(common.config).load()
    about = snapshot()["about"]
    document: dict[str, Any] = {
        "bundled": {"source": about["prices"], "made": about["made"], "days_old": _age(about["made"])},
        "refreshed": _refreshed(common),
        "models": [_row(d) for d in configured(loaded)],
    }
    common.show(document, "\n".join(_text(document)))


def refresh(
    ctx: typer.Context,
    url: Annotated[str, typer.Option(help="Where a document of models.dev's form is.")] = URL,
) -> None:
    """Fetch and put in force."""
    common: Common = ctx.obj
    here = world(common.config)
    try:
        table = prices.fetch(url, datetime.now(UTC).date(), proxies(here.environment)(url))
    except prices.Unfetched as why:
        raise Exit(1, f"The prices in force stay as they are: {why}. Try again later, or name another --url.") from None
    prices.keep(here.folders.data, table)
    note(loaded := here.load(), "prices refreshed", url, models=len(table))
    disputes = [row for d in configured(loaded) if (row := _row(d))["other"]]
    lines = [f"{len(table)} prices as of {table.fetched} are in force, in running servers too."]
    lines += [
        f"! {row['model']}: {row['source']} says ${row['input']:g} and ${row['output']:g}, {row['other']}"
        for row in disputes
    ]
    common.show({"models": len(table), "fetched": str(table.fetched), "disputed": disputes}, "\n".join(lines))


def reset(ctx: typer.Context) -> None:
    """Drop the fetched table."""
    common: Common = ctx.obj
    here = world(common.config)
    if there := prices.drop(here.folders.data):
        note(here.load(), "prices reset", "bundled")
    common.show({"reset": there}, "The bundled prices are in force." if there else "The bundled prices were in force.")


def _refreshed(common: Common) -> dict[str, Any] | None:
    try:
        table = prices.checked(world(common.config).folders.data)
    except NotATable as why:
        raise Exit(
            1, f"The fetched price table is broken ({why}). Run `plenum prices refresh` or `plenum prices reset`."
        ) from None
    if not table:
        return None
    return {
        "source": "models.dev",
        "fetched": str(table.fetched),
        "days_old": _age(str(table.fetched)),
        "models": len(table),
    }


def _age(day: str) -> int:
    return (datetime.now(UTC).date() - datetime.fromisoformat(day).date()).days


def _row(d: Deployment) -> dict[str, Any]:
    price = d.price
    if price is None:
        return {"model": d.name, "input": None, "output": None, "cached_input": None, "source": "unpriced", "other": ""}
    said = {"input": price.input, "output": price.output, "cached_input": price.cached_input}
    return {"model": d.name, **said, "source": price.source, "other": price.other}


def _text(document: dict[str, Any]) -> list[str]:
    bundled, newer = document["bundled"], document["refreshed"]
    lines = [f"Bundled: {bundled['source']}, {bundled['days_old']} day(s) old."]
    lines.append(
        f"Fetched: models.dev, {newer['days_old']} day(s) old, {newer['models']} models. `plenum prices reset` drops it."
        if newer
        else "Nothing was fetched. `plenum prices refresh` asks models.dev."
    )
    rows = [("model", "in", "out", "cached in", "source")]
    rows += [
        (row["model"], *(_usd(row[k]) for k in ("input", "output", "cached_input")), _mark(row))
        for row in document["models"]
    ]
    return [*lines, "", *columns(rows), "", "USD per million tokens. A ! marks a price on which two sources disagree."]


def _usd(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _mark(row: dict[str, Any]) -> str:
    return f"! {row['source']} ({row['other']})" if row["other"] else row["source"]
