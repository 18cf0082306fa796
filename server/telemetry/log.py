"""One line on stderr per ask, fuse and trouble: what was chosen, how it went, what it cost. `$PLENUM_LOG` gives the form:

`logfmt` (also when unset, and for `debug`), `json`, or `off`. Names come from callers and are quoted, so a line stays one.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from routing.events import (
    Answered,
    BreakerChanged,
    BudgetAlert,
    ContextFetched,
    CooledDown,
    Event,
    Failed,
    Fused,
    Observer,
    StoreFailed,
)
from routing.types import Receipt

LOGGED = (Answered, Failed, Fused, BreakerChanged, CooledDown, BudgetAlert, StoreFailed, ContextFetched)
Form = Callable[[Mapping[str, Any]], str]
LONGEST = 200  # characters of one value
_BARE = re.compile(r"[!#-<>-\[\]-~]+")  # printable ASCII without blank, quote, = and backslash
_NUMBERS = (int, float)  # written as JSON writes them


def form(name: str) -> Form | None:
    """How a line is written; None for none."""
    return {"off": None, "json": as_json}.get(name.strip().lower(), as_logfmt)


def as_json(fields: Mapping[str, Any]) -> str:
    """One JSON object."""
    return json.dumps(fields, ensure_ascii=True, allow_nan=False)


def as_logfmt(fields: Mapping[str, Any]) -> str:
    """`key=value` pairs; values with anything unusual in them are quoted."""
    return " ".join([f"{key}={_plain(value)}" for key, value in fields.items()])


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value if _BARE.fullmatch(value) else json.dumps(value)
    return repr(value) if type(value) in _NUMBERS else json.dumps(value)


def log(write: Form, out: Callable[[str], object], now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Observer:
    """An observer that writes lines to `out`."""

    def tell(event: Event) -> None:
        if (fields := _fields(event)) is not None:
            out(write(_shown(now().isoformat(timespec="milliseconds"), fields)) + "\n")

    return tell


def _shown(stamp: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    shown: dict[str, Any] = {"ts": stamp}
    for key, value in fields.items():
        if isinstance(value, str):
            if value:
                shown[key] = value[:LONGEST]
        elif value is not None:
            shown[key] = round(value, 9) if isinstance(value, float) else value
    return shown


def _fields(event: Event) -> Mapping[str, Any] | None:
    match event:
        case Answered(receipt):
            return {"event": "answered", **_receipt(receipt)}
        case Failed(id, code, receipt):
            return {"event": "failed", "code": code, **(_receipt(receipt) if receipt else {}), "id": id}
        case Fused():
            return {
                "event": "fused",
                "id": event.id,
                "status": event.status,
                "agreement": event.agreement,
                "members": event.members,
                "calls_saved": event.calls_saved,
                "cost_usd": event.cost_usd,
            }
        case _:
            return _trouble(event)


def _trouble(event: Event) -> Mapping[str, Any] | None:
    match event:
        case BreakerChanged(_, provider, state, _, for_s, model):
            return {"event": "breaker", "provider": provider, "model": model, "state": state, "for_s": for_s}
        case CooledDown(_, provider, _, for_s, model):
            return {"event": "cooldown", "provider": provider, "model": model, "for_s": for_s}
        case BudgetAlert(scope, period, share, spent, limit):
            spent_of = {"spent_usd": spent, "limit_usd": limit}
            return {"event": "budget", "scope": scope, "period": period, "share": share, **spent_of}
        case StoreFailed(state, _):
            return {"event": "store", "state": state}
        case ContextFetched(server, False, latency_s):
            return {"event": "context", "server": server, "latency_s": latency_s}
        case _:
            return None


def _receipt(receipt: Receipt) -> Mapping[str, Any]:
    return {
        "id": receipt.id,
        "caller": receipt.caller,
        "provider": receipt.provider,
        "model": receipt.model,
        "strategy": receipt.strategy,
        "finish": receipt.finish_reason,
        "cached": None if receipt.cached == "no" else receipt.cached,
        "attempts": len(receipt.attempts),
        "input": receipt.usage.input,
        "output": receipt.usage.output,
        "cost_usd": receipt.cost_usd,
        "basis": receipt.cost_basis,
        "latency_s": round(receipt.latency_s, 3),
        "ttft_s": None if receipt.ttft_s is None else round(receipt.ttft_s, 3),
    }
