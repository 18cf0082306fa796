"""`plenum bench`: task types × models × repetitions within an envelope; a report with a chart and advice."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer

from routing.types import Deployment

from . import Common, Exit
from .ask import opened

MODELS = 6  # compared when nobody says which


def register(app: typer.Typer, common: Common) -> None:
    """Add the command."""
    del common
    app.command("bench", help="Measure models side by side: latency, cost, tokens, reliability, quality.")(bench)


def bench(
    ctx: typer.Context,
    model: Annotated[
        list[str] | None, typer.Option(help="provider/model; repeatable. Else the best of each provider.")
    ] = None,
    task: Annotated[list[str] | None, typer.Option(help="A type of task; repeatable. Else all.")] = None,
    repetitions: Annotated[int, typer.Option(min=1, max=100)] = 3,
    max_cost_usd: Annotated[float, typer.Option(min=0, help="All calls together, the judge's too.")] = 1.0,
    judge: Annotated[str, typer.Option(help="A model that rates answers without a gold one.")] = "",
    out: Annotated[Path | None, typer.Option(help="Write report.md and chart.svg into this folder.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="On simulated models; no key, no cost.")] = False,
) -> None:
    """Measure, and say what follows."""
    common: Common = ctx.obj
    from server.bench.cases import CASES
    from server.bench.run import Plan

    cases = tuple(case for case in CASES if not task or case.task in task)
    if not cases:
        raise Exit(2, f"--task is one of {', '.join(dict.fromkeys(case.task for case in CASES))}.")
    plan = Plan(tuple(model or ()), cases, repetitions, max_cost_usd, judge)

    async def measured(app: Any) -> tuple[dict[str, Any], str]:
        return await _measured(app, plan, out)

    document, text = anyio.run(opened, common, measured, demo)
    common.show(document, text)


async def _measured(app: Any, plan: Any, out: Path | None) -> tuple[dict[str, Any], str]:
    from dataclasses import replace

    from server.bench.report import advice, chart, markdown
    from server.bench.run import Bench
    from server.bench.stats import scores

    plan = replace(plan, models=plan.models or chosen(app.directory.deployments()))
    if not plan.models:
        raise Exit(3, "No model is available. Set a key variable, start a local engine, or use --demo.")
    run = Bench(app.manager, plan, lambda line: print(line, file=sys.stderr, flush=True))
    samples = await run.run()
    cut = " The envelope ended before the plan did." if run.cut else ""
    head = f"{len(samples)} calls: {len(plan.cases)} cases, {plan.repetitions} rounds, ${run.spent:.4f} of ${plan.usd:g}.{cut}"
    text = markdown(samples, head)
    if out is not None:
        await _write(out, {"report.md": text, "chart.svg": chart(samples)})
    found = [asdict(score) for score in scores(samples)]
    return {"spent_usd": run.spent, "cut": run.cut, "scores": found, "advice": advice(samples)}, text


async def _write(folder: Path, files: dict[str, str]) -> None:
    try:
        await anyio.Path(folder).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            await anyio.Path(folder / name).write_text(content, encoding="utf-8")
    except OSError:
        raise Exit(2, f"{folder} cannot be written to. Name another folder with --out.") from None
    print(f"Written: {', '.join(str(folder / name) for name in files)}", file=sys.stderr)


def chosen(deployments: Sequence[Deployment]) -> tuple[str, ...]:
    """The best model of each provider, of those that can be asked; all simulated ones where there are no others."""
    usable = [d for d in deployments if d.status in ("available", "degraded") and "embed" not in d.model]
    real = [d for d in usable if not d.simulated]
    best: dict[str, Deployment] = {}
    for one in sorted(real, key=lambda d: -d.card.quality.get("default", 0.0)):
        best.setdefault(one.provider, one)
    return tuple(d.name for d in (best.values() if real else usable))[:MODELS]
