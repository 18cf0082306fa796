"""What the dashboard, `/api` and `plenum top` show: plain JSON about the open app. No texts but those of a council."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from routing.costs.grouping import GroupBy, grouped
from routing.types import Receipt
from server import VERSION, receipts, resources
from server.house import House
from server.tools.costs import Costs, as_json, query
from server.tools.list_models import described

COUNCILS = 8  # fuses shown with all their members
BESIDE: tuple[GroupBy, ...] = ("day", "model", "caller", "task")
MOST = 40  # groups of a kind, dearest first


async def costs(app: Any, wanted: Costs, caller: str | None = None, *, advise: bool = True) -> dict[str, Any]:
    """The `costs` tool's report, of one caller or of all, and beside it the same sums by day, model, caller and task."""
    if app.costs is None:
        return {"summary": "There is no ledger to read.", "by": {}}
    books = app.costs
    asked, zone = replace(query(books, wanted), caller=caller), books.known.plan().zone
    lines = await books.daily(asked)
    report = as_json(await books.report(asked, lines, advise=advise))
    beside = {key: grouped(lines, (), key, zone) for key in BESIDE}
    sums = {
        key: [_sum(asdict(group)) for group in found][-366 if key == "day" else 0 :] for key, found in beside.items()
    }
    return {**report, "by": {key: found if key == "day" else found[:MOST] for key, found in sums.items()}}


def _sum(group: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: group[name] for name in ("key", "usd", "calls", "success_rate")}
    return {**shown, "usd": round(group["usd"], 9), "tokens": group["tokens"]["input"] + group["tokens"]["output"]}


async def health(app: Any, caller: str | None = None) -> dict[str, Any]:
    """Providers with their breakers and limits, every barrier, and the models that traffic has told something of."""
    barriers = app.guard.show() if app.guard is not None else ()
    every = [described(app, deployment) for deployment in app.directory.deployments()]
    return {
        **await resources.providers(app, caller),
        "breakers": [{k: v for k, v in asdict(barrier).items() if k != "endpoint"} for barrier in barriers],
        "models": [
            {"id": model["id"], "status": model["status"], **model["health"]}
            for model in every
            if model["health"]["latency_p50_s"] is not None
        ],
    }


async def decisions(app: Any, limit: int, caller: str | None) -> dict[str, Any]:
    """The newest decisions, of one caller or of all; fuses among the first with what their members said."""
    if app.journal is None:
        return {"decisions": []}
    found = await app.journal.newest(limit, caller)
    shown = [_decision(receipt) for receipt in found]
    fuses = [(receipt, told) for receipt, told in zip(found, shown, strict=True) if receipt.id.startswith("f_")]
    for receipt, told in fuses[:COUNCILS]:
        told["council"] = await _council(app, receipt)
    return {"decisions": shown}


def _decision(receipt: Receipt) -> dict[str, Any]:
    at = datetime.fromtimestamp(receipt.at, UTC).isoformat(timespec="seconds") if receipt.at else None
    return {**receipts.as_json(receipt), "at": at, "caller": receipt.caller, "task": receipt.task}


async def _council(app: Any, receipt: Receipt) -> dict[str, Any] | None:
    from routing.fusion.result import document

    answer = await app.journal.answer(receipt.id, receipt.caller)
    found = document(answer) if answer is not None else None
    return found and {name: value for name, value in found.items() if name not in ("text", "texts")}


async def status(app: Any, house: House | None = None) -> dict[str, Any]:
    """The process at a glance; without a house, of a command that has none."""
    shown = await resources.status(app, house) if house is not None else {"version": VERSION, "warnings": app.warnings}
    return {**shown, "fault": app.fault is not None, "at": datetime.now(UTC).isoformat(timespec="seconds")}


async def everything(app: Any, house: House | None = None, *, limit: int = 50) -> dict[str, Any]:
    """All of it, for an export and for who may see every caller."""
    return {
        "costs": await costs(app, Costs()),
        "health": await health(app),
        "decisions": await decisions(app, limit, None),
        "status": await status(app, house),
    }
