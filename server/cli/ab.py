"""`plenum ab`: what an experiment has shown, and what the last days would have cost under another strategy."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import anyio
import typer

from . import Common, Exit
from .ask import opened

DAY_S = 86_400.0
LONGEST = 100_000  # asks replayed; the newest


def register(app: typer.Typer, common: Common) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Compare models and strategies on your own traffic.")
    app.add_typer(group, name="ab")

    @group.command("report", help="Both arms of each experiment: cost, latency, failures, agreement, with intervals.")
    def _report(  # pyright: ignore[reportUnusedFunction]
        name: Annotated[str, typer.Argument(help="One experiment; else all.")] = "",
        days: Annotated[float, typer.Option(min=0.01)] = 30,
    ) -> None:
        async def work(app: Any) -> tuple[dict[str, Any], str]:
            return await _reported(app, name, days)

        common.show(*anyio.run(opened, common, work))

    @group.command("replay", help="Decide the last days' asks under another strategy, from receipts; calls nobody.")
    def _replay(  # pyright: ignore[reportUnusedFunction]
        strategy: Annotated[str, typer.Option(help="cost, quality, performance, balanced, carbon or cascade")],
        days: Annotated[float, typer.Option(min=0.01)] = 7,
        demo: Annotated[bool, typer.Option("--demo")] = False,
    ) -> None:
        from routing.strategies import names

        if strategy not in (known := names()):
            raise Exit(2, f"There is no strategy {strategy!r}. There are {', '.join(known)}.")

        async def work(app: Any) -> tuple[dict[str, Any], str]:
            return await _replayed(app, strategy, days)

        common.show(*anyio.run(opened, common, work, demo))


async def _reported(app: Any, name: str, days: float) -> tuple[dict[str, Any], str]:
    from routing.experiments.report import shown

    configured = app.config.experiments
    trials = await app.store.trials.since(time.time() - days * DAY_S)
    names = dict.fromkeys([*configured, *(trial.experiment for trial in trials)])
    if name and name not in names:
        known = ", ".join(names) or "none yet: add [experiments.NAME] to plenum.toml (docs/experiments.md)"
        raise Exit(2, f"There is no experiment {name!r}. There is: {known}.")
    wanted = [name] if name else list(names)
    found = [shown(one, [trial for trial in trials if trial.experiment == one]) for one in wanted]
    document = {"days": days, "experiments": [_document(one, configured.get(one.name)) for one in found]}
    if not found:
        return document, "No experiment yet: add [experiments.NAME] to plenum.toml (docs/experiments.md)."
    return document, "\n\n".join(_text(one, configured.get(one.name)) for one in found)


def _document(found: Any, table: Any) -> dict[str, Any]:
    told = asdict(found)
    for measure, shown in zip(found.measures, told["measures"], strict=True):
        shown["sure"] = measure.sure
    return {**told, "configured": table.model_dump() if table is not None else None}


def _text(found: Any, table: Any) -> str:
    said = f": {table.kind}, {table.share:.0%} of {table.of}" if table is not None else " (no longer configured)"
    counts = f"{found.trials['control']} control, {found.trials['arm']} arm"
    rows = [("", "CONTROL", "ARM", "DIFFERENCE (95 %)", "CHANCE"), *(_row(measure) for measure in found.measures)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    table_ = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    models = [
        f"{arm}: {', '.join(f'{m} {n}' for m, n in list(of.items())[:4])}" for arm, of in found.models.items() if of
    ]
    unpriced = [f"{found.unpriced} without a known price are in no sum of money"] if found.unpriced else []
    return "\n".join([f"{found.name}{said} – {counts}", *table_, *models, *unpriced, found.summary])


def _row(measure: Any) -> tuple[str, str, str, str, str]:
    difference = measure.difference
    if difference is None:
        return measure.name, _figure(measure, measure.control), _figure(measure, measure.arm), "too few", ""
    value, low, high = (_amount(measure, x, sign="+") for x in (difference.value, difference.low, difference.high))
    chance = "< 0.001" if difference.p < 0.001 else f"{difference.p:.3f}"
    words = f"{value}  [{low}, {high}]"
    return (
        measure.name,
        _figure(measure, measure.control),
        _figure(measure, measure.arm),
        words,
        f"{chance}{' *' if measure.sure else ''}",
    )


def _figure(measure: Any, figure: Any) -> str:
    return "–" if figure.value is None else _amount(measure, figure.value)


def _amount(measure: Any, value: float, sign: str = "") -> str:
    if measure.unit == "USD":
        return f"{value:{sign}.3g} $"
    return f"{value:{sign}.1%}" if measure.unit == "share" else f"{value:{sign}.2f} s"


async def _replayed(app: Any, strategy: str, days: float) -> tuple[dict[str, Any], str]:
    from routing.experiments.replay import replayed
    from server.settings import routing

    past: Sequence[Any] = await app.store.trials.past(time.time() - days * DAY_S, LONGEST)
    found = await anyio.to_thread.run_sync(replayed, past, strategy, app.directory, routing(app.config))
    return {"days": days, **asdict(found)}, _replay_text(found, days)


def _replay_text(found: Any, days: float) -> str:
    if not found.asks:
        left = ", ".join(f"{n} {why}" for why, n in found.left_out.items()) or "there were none"
        return f"No ask of the last {days:g} days can be decided anew: {left}."
    usd, lines = found.usd, [f"{found.asks} asks of the last {days:g} days, decided anew by strategy {found.strategy}:"]
    lines.append(f"  another model for {found.asks - found.same} of them, the same for {found.same}")
    lines.append(f"  cost     ${found.actual_usd:.4f} → about ${usd.value:.4f}  [${usd.low:.4f}, ${usd.high:.4f}]")
    if found.seconds is not None:
        lines.append(f"  latency  {found.actual_s:.2f} s → about {found.seconds:.2f} s (mean of {found.timed} asks)")
    if found.quality is not None:
        lines.append(f"  quality by the catalogue  {found.quality[0]:.2f} → {found.quality[1]:.2f}")
    lines += [f"  {before} → {after}: {n}" for before, after, n in found.moves]
    left = ", ".join(f"{n} {why}" for why, n in found.left_out.items())
    lines += [f"Left out: {left}."] if left else []
    return "\n".join([*lines, "Not known:", *(f"  - {words}" for words in found.caveats)])
