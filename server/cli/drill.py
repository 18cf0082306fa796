"""`plenum drill`: rehearse failures with one's own configuration, without keys and cost."""

from dataclasses import asdict
from typing import Annotated

import typer

from routing.drill import Drill, Kind, Report, Run, Trouble, rehearse
from server import settings
from server.config.world import world
from server.rehearsal import rehearsed

from . import Common, Exit


def register(app: typer.Typer, common: Common) -> None:
    """Add the commands."""
    del common
    app.command("drill", help="Rehearse failures of your own configuration on simulators: no key, no cost.")(drill)


def drill(
    ctx: typer.Context,
    kill: Annotated[list[str] | None, typer.Option(help="A provider that fails every call; repeatable.")] = None,
    slow: Annotated[list[str] | None, typer.Option(help="A provider that takes 20 times as long.")] = None,
    limit: Annotated[list[str] | None, typer.Option(help="A provider that says: wait 30 s.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="What is asked for; default auto.")] = None,
    requests: Annotated[int, typer.Option(min=1, max=10_000)] = 200,
    per_s: Annotated[float, typer.Option(min=0.01, max=1000)] = 2.0,
) -> None:
    """Run the drill and report what would have failed, slowed, cost."""
    common: Common = ctx.obj
    kinds: dict[Kind, list[str]] = {"kill": kill or [], "slow": slow or [], "limit": limit or []}
    troubles = tuple(Trouble(provider, kind) for kind, names in kinds.items() for provider in names)
    loaded = world(common.config).load()
    try:
        plan = Drill(troubles, tuple(model or ["auto"]), requests, per_s)
        report = rehearse(rehearsed(loaded), plan, settings.routing(loaded.config))
    except ValueError as fault:
        raise Exit(2, f"{fault}. `plenum doctor` lists the providers there are.") from None
    common.show(asdict(report), told(report))


def told(report: Report) -> str:
    """The report in words."""
    lines = [_run("as it is", report.calm), _run("in trouble", report.troubled), f"slowed: {report.slowed}"]
    return "\n".join([*lines, *(f"- {finding}" for finding in report.findings)])


def _run(name: str, run: Run) -> str:
    served = ", ".join(f"{provider} {count}" for provider, count in run.served.items())
    return (
        f"{name}: {run.answered} of {run.requests} answered by {run.calls} calls, p50 {run.latency_p50_s:.1f} s, "
        f"p95 {run.latency_p95_s:.1f} s, ${run.cost_usd:.4f} ({served})"
    )
