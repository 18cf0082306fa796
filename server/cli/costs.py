"""`plenum costs`: what was spent as a table with a sparkline; optimise, export, reconcile."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, cast

import anyio
import typer

from routing.costs.budgets import Cap
from routing.costs.grouping import GroupBy, by_day
from routing.costs.optimiser import Allocation, optimise, uses
from routing.costs.reconcile import Reconciliation, Unreadable, read, reconcile
from routing.costs.reports import PERIODS, Accountant, dollars
from routing.experiments.assignment import CALLER
from routing.store.books import Line
from server.config.edit import Uneditable, written
from server.config.world import world
from server.tools.costs import Costs, as_json, query, spending

from . import Common, Exit
from ._columns import columns
from .ask import opened

EXPORTS = (".csv", ".json")
BARS = "▁▂▃▄▅▆▇█"
DAYS = {"day": 1.0, "month": 30.4375}  # mean length of a month
Day = Annotated[str, typer.Option(metavar="YYYY-MM-DD")]


def register(app: typer.Typer, common: Common) -> None:
    """Add the command."""
    del common
    app.command("costs", help="What was spent, what is left, and what to do about it.")(costs)


def costs(
    ctx: typer.Context,
    period: Annotated[str, typer.Option(help=", ".join(PERIODS))] = "30d",
    first: Annotated[str, typer.Option("--from", metavar="YYYY-MM-DD", help="First day, instead of a period.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="YYYY-MM-DD", help="Last day, included.")] = "",
    by: Annotated[str, typer.Option(help="provider, model, day, caller, task or server.")] = "provider",
    optimise_: Annotated[bool, typer.Option("--optimise", help="Suggest how to share out the budgets.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="With --optimise: write them into plenum.toml.")] = False,
    export: Annotated[Path | None, typer.Option(help="Write every line to this .csv or .json file.")] = None,
    reconcile_: Annotated[Path | None, typer.Option("--reconcile", help="A provider's usage export.")] = None,
    provider: Annotated[str, typer.Option(help="Whose export it is.")] = "",
    demo: Annotated[bool, typer.Option("--demo")] = False,
) -> None:
    """Show what was spent."""
    common: Common = ctx.obj
    wanted = _wanted(period, by, first, last)
    if optimise_ or apply:
        _run(common, demo, lambda books: _optimised(books, common, apply=apply))
    elif reconcile_ is not None:
        text = _text(reconcile_)
        _run(common, demo, lambda books: _reconciled(books, text, provider))
    elif export is not None:
        if export.suffix not in EXPORTS:
            raise Exit(2, f"--export writes {' and '.join(EXPORTS)} files: {export.name} is neither.")
        _run(common, demo, lambda books: _exported(books, wanted, export))
    else:
        _run(common, demo, lambda books: _shown(books, wanted))


def _run(common: Common, demo: bool, work: Callable[[Accountant], Any]) -> None:
    async def _with(app: Any) -> Any:
        return await work(app.costs)

    document, text = anyio.run(opened, common, _with, demo)
    common.show(document, text)


def _wanted(period: str, by: str, first: str, last: str) -> Costs:
    try:
        days = {"from": first and date.fromisoformat(first), "to": last and date.fromisoformat(last)}
        return Costs.model_validate({"period": period, "group_by": by} | {k: v for k, v in days.items() if v})
    except ValueError:
        groups = ", ".join(cast("tuple[str, ...]", GroupBy.__args__))
        words = f"--period is one of {', '.join(PERIODS)}; --by one of {groups}; dates are written 2026-11-21"
        raise Exit(2, words) from None


async def _shown(books: Accountant, wanted: Costs) -> tuple[dict[str, Any], str]:
    asked = query(books, wanted)
    found = await spending(books, wanted)
    days = by_day(await books.lines(asked), books.known.plan().zone)
    return found, "\n".join([found["summary"], *_spark(days), "", *_table(found), *_budgets(found), *_advice(found)])


def _spark(days: dict[str, float]) -> list[str]:
    if len(days) < 2:
        return []
    highest = max(days.values()) or 1.0
    bars = "".join(BARS[round(usd / highest * (len(BARS) - 1))] for usd in days.values())
    return [f"{min(days)} {bars} {max(days)}  (highest day {dollars(highest)})"]


def _table(found: dict[str, Any]) -> list[str]:
    rows = [("", "USD", "calls", "ok", "p50", "per answer")]
    for group in found["groups"]:
        rate, p50, each = group["success_rate"], group["latency_p50_s"], group["usd_per_answer"]
        rows.append(
            (
                group["key"],
                dollars(group["usd"]),
                str(group["calls"]),
                "" if rate is None else f"{rate:.0%}",
                "" if p50 is None else f"{p50:.1f} s",
                "" if each is None else dollars(each),
            )
        )
    return columns(rows)


def _budgets(found: dict[str, Any]) -> list[str]:
    lines = [""] if found["budgets"] else []
    for budget in found["budgets"]:
        over = f", over by {dollars(budget['overrun_usd'])}" if budget["overrun_usd"] else ""
        spent, limit = dollars(budget["spent_usd"]), dollars(budget["limit_usd"])
        lines.append(
            f"budget {budget['scope']} per {budget['period']}: {spent} of {limit}{over}, new {budget['resets_at']}"
        )
    return lines


def _advice(found: dict[str, Any]) -> list[str]:
    lines = [""] if found["recommendations"] else []
    for advice in found["recommendations"]:
        worth = f" (saves {dollars(advice['saves_usd'])})" if advice["saves_usd"] else ""
        lines += [f"• {advice['text']}{worth}", f"  → {advice['action']}"]
    return lines


async def _optimised(books: Accountant, common: Common, *, apply: bool) -> tuple[dict[str, Any], str]:
    lines = await books.lines(books.period("30d"))
    days = max(len(by_day(lines, books.known.plan().zone)), 1)
    found: list[Allocation] = []
    for period, length in DAYS.items():
        every = [cap for cap in books.known.plan().caps if not cap.scope.startswith(f"caller:{CALLER}")]
        caps = [cap for cap in every if cap.period == period]
        found += optimise(caps, uses(lines, days / length))
    changed = _applied(found, common) if apply else ""
    text = "\n".join(
        [_allocation(a) for a in found] or ["There are no budgets of providers, models, callers or tasks to share out."]
    )
    return {"allocations": as_json_all(found), "applied": bool(changed)}, f"{text}\n{changed}".rstrip()


def _allocation(found: Allocation) -> str:
    change = "keep" if abs(found.suggested_usd - found.limit_usd) < 0.01 else f"→ {dollars(found.suggested_usd)}"
    used = f"{found.used_share:.0%} used, {found.answers_per_usd:.0f} answers per dollar"
    return f"{found.scope} per {found.period}: {dollars(found.limit_usd)} {change}  ({found.verdict}; {used})"


def _applied(found: Sequence[Allocation], common: Common) -> str:
    caps = [Cap(a.scope, "day" if a.period == "day" else "month", a.suggested_usd) for a in found]
    try:
        file = written(world(common.config), {cap.scope: (cap.period, cap.usd) for cap in caps})
    except Uneditable as fault:
        raise Exit(2, str(fault)) from None
    return f"Written to {file}."


async def _reconciled(books: Accountant, text: str, provider: str) -> tuple[dict[str, Any], str]:
    try:
        rows = read(text)
    except Unreadable as fault:
        raise Exit(2, f"{fault}.") from None
    lines = [line for line in await books.lines(books.period("all")) if provider in ("", line.provider)]
    found = reconcile(rows, lines)
    return as_json(found), _reconciliation(found)


def _reconciliation(found: Reconciliation) -> str:
    verdict = "they agree" if found.agree else "they do not agree"
    head = (
        f"{' to '.join(found.days)}: charged {dollars(found.theirs_usd)}, booked {dollars(found.ours_usd)}: {verdict}."
    )
    differing = [d for d in found.differences if d.verdict != "agree"]
    return "\n".join(
        [
            head,
            *(f"{d.day} {d.model}: {dollars(d.theirs_usd)} / {dollars(d.ours_usd)} – {d.verdict}" for d in differing),
        ]
    )


async def _exported(books: Accountant, wanted: Costs, file: Path) -> tuple[dict[str, Any], str]:
    lines = await books.lines(query(books, wanted))
    content = lines_csv(lines) if file.suffix == ".csv" else as_text([line._asdict() for line in lines])
    try:
        await anyio.Path(file).write_text(content, encoding="utf-8")
    except OSError:
        raise Exit(2, f"{file} cannot be written. Name a file in a folder that exists.") from None
    return {"written": str(file), "lines": len(lines)}, f"{len(lines)} lines written to {file}"


def lines_csv(lines: Sequence[Line]) -> str:
    """Lines as CSV; a cell that a spreadsheet would take for a formula is quoted as text."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(Line._fields)
    for line in lines:
        writer.writerow(f"'{cell}" if isinstance(cell, str) and cell[:1] in tuple("=+-@") else cell for cell in line)
    return out.getvalue()


def as_text(document: Any) -> str:
    """A document as JSON text."""
    import json

    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def as_json_all(found: Sequence[Allocation]) -> list[dict[str, Any]]:
    """Allocations as plain data."""
    return [asdict(one) for one in found]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise Exit(2, f"{file} cannot be read as text.") from None
