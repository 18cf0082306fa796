"""`costs`: what was spent, on what, what is left, where the month is heading, and what to do about it. Asks nobody."""

import json
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from routing.costs.budgets import midnight
from routing.costs.grouping import GroupBy
from routing.costs.reports import Accountant, Query
from routing.errors import InvalidRequest, Refusal
from server import callers
from server.house import House, sound
from server.mcp.apps import VIEW
from server.mcp.exact import Arguments, Asked, ExactTool, Label, Outcome, tool

from . import results

_OUTPUT = {
    "type": "object",
    "properties": {
        "summary": {"type": "string"},
        "total_usd": {"type": "number"},
        "calls": {"type": "integer"},
        "groups": {"type": "array", "items": {"type": "object"}},
        "budgets": {"type": "array", "items": {"type": "object"}},
        "recommendations": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["summary", "total_usd", "calls", "groups", "budgets", "recommendations"],
}
EARLIEST, LATEST = date(1970, 1, 2), date(9999, 1, 1)  # whose midnights every time zone has
LABEL = Label("costs", "What was spent", idempotent=True, output=_OUTPUT, meta=VIEW)


class Costs(Arguments):
    """Show what was spent and what is left: totals, groups, budgets, forecast, savings and advice, in USD."""

    period: Literal["today", "7d", "30d", "month", "all"] = "30d"
    since: Annotated[date | None, Field(alias="from", strict=False, description="First day, instead of period")] = None
    until: Annotated[date | None, Field(alias="to", strict=False, description="Last day, included")] = None
    group_by: GroupBy = "provider"


def costs(house: House) -> ExactTool:
    """The tool."""

    async def handle(arguments: Costs, request: Asked) -> Outcome:
        app = sound(await house.app())
        if app.costs is None:
            raise Refusal("There is no ledger to read.", hint="Run `plenum doctor` in a terminal.")
        return results.data(await spending(app.costs, arguments, callers.only(request)))

    return tool(LABEL, Costs, handle, results.refused)


async def spending(accountant: Accountant, arguments: Costs, caller: str | None = None) -> dict[str, Any]:
    """The report as the contract has it, of one caller or of all. Raises InvalidRequest."""
    return as_json(await accountant.report(replace(query(accountant, arguments), caller=caller)))


def query(accountant: Accountant, arguments: Costs) -> Query:
    """The stretch of time that is meant. Raises InvalidRequest."""
    if arguments.since is None and arguments.until is None:
        return accountant.period(arguments.period, arguments.group_by)
    zone = accountant.known.plan().zone
    last = arguments.until or datetime.fromtimestamp(accountant.known.clock(), UTC).date() + timedelta(days=1)
    first = arguments.since or EARLIEST
    if first > last:
        raise InvalidRequest("`from` is later than `to`.", hint="Swap them.")
    label = f"{first.isoformat()} to {last.isoformat()}"
    first, last = max(first, EARLIEST), min(last, LATEST)
    return Query(midnight(first, zone), midnight(last + timedelta(days=1), zone), label, arguments.group_by)


def as_json(report: Any) -> dict[str, Any]:
    """A report's dataclasses as plain data; money to a billionth of a dollar, so that no sum shows binary dust."""
    return json.loads(json.dumps(asdict(report)), parse_float=lambda text: round(float(text), 9))
