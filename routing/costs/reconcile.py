"""A provider's usage export beside the ledger: where they agree, what only one of them knows. Pure.

Reads CSV and JSON as providers export them, by the names of their columns. Days are UTC: providers bill by those.
"""

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from typing import Any, cast

from ..store.books import Line
from ..types import NANO

NAMES: Mapping[str, tuple[str, ...]] = {
    "day": ("date", "day", "usage_date", "start_time", "start_time_iso", "timestamp", "created_at", "bucket", "time"),
    "model": ("model", "model_name", "model_id", "model_permaslug", "line_item", "sku", "description"),
    "usd": ("cost_usd", "cost", "usd", "amount", "amount_value", "total_cost", "usage", "price", "amount_usd"),
}
AGREE_SHARE, AGREE_USD = 0.01, 0.01  # rounding of exports to cents


class Unreadable(Exception):
    """The export cannot be read; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of an export."""

    day: str
    model: str
    usd: float


@dataclass(frozen=True, slots=True)
class Difference:
    """One day and model: what the provider charged and what the ledger booked, USD; `uncertain_usd` of it was a guess."""

    day: str
    model: str
    theirs_usd: float
    ours_usd: float
    uncertain_usd: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The whole comparison, over the days of the export."""

    theirs_usd: float
    ours_usd: float
    agree: bool
    days: tuple[str, str]
    differences: tuple[Difference, ...]


def read(text: str) -> tuple[Row, ...]:
    """The rows of a CSV or JSON export. Raises Unreadable."""
    records = _json(text) if text.lstrip()[:1] in ("{", "[") else list(csv.DictReader(StringIO(text)))
    if not records:
        raise Unreadable("the export has no rows")
    columns = {part: _column(records[0], part) for part in NAMES}
    return tuple(_row(number, record, columns) for number, record in enumerate(records, 2))


def reconcile(rows: Sequence[Row], lines: Iterable[Line]) -> Reconciliation:
    """Compare by day and model, over the days the export covers. `lines` are those of one provider."""
    first, last = min(row.day for row in rows), max(row.day for row in rows)
    theirs: dict[tuple[str, str], float] = defaultdict(float)
    ours: dict[tuple[str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in rows:
        theirs[row.day, row.model] += row.usd
    for line in lines:
        day = datetime.fromtimestamp(line.at, UTC).date().isoformat()
        if first <= day <= last:
            nano, guessed = ours[day, line.model]
            ours[day, line.model] = nano + line.nano, guessed + line.uncertain_nano
    found = [_difference(key, theirs.get(key), ours.get(key)) for key in sorted(theirs.keys() | ours.keys())]
    their_sum, our_sum = sum(theirs.values()), sum(nano for nano, _ in ours.values()) / NANO
    return Reconciliation(their_sum, our_sum, _close(their_sum, our_sum), (first, last), tuple(found))


def _difference(key: tuple[str, str], theirs: float | None, ours: tuple[int, int] | None) -> Difference:
    nano, guessed = ours or (0, 0)
    booked, charged = nano / NANO, theirs or 0.0
    if _close(charged, booked):
        verdict = "agree"
    elif ours is None:
        verdict = "not in the ledger: asked by something else with the same key, or under another model name"
    elif theirs is None:
        verdict = "not in the export"
    elif _close(charged, booked - guessed) or booked - guessed <= charged <= booked:
        verdict = "explained by calls of processes that died: booked at their worst case"
    else:
        verdict = "the provider charged more" if charged > booked else "the ledger booked more"
    return Difference(*key, charged, booked, guessed / NANO, verdict)


def _close(one: float, other: float) -> bool:
    return abs(one - other) <= max(AGREE_USD, AGREE_SHARE * max(one, other))


def _json(text: str) -> list[dict[str, Any]]:
    try:
        found: Any = json.loads(text)
    except ValueError:
        raise Unreadable("the export is no valid JSON") from None
    whole = cast("dict[str, Any]", found) if isinstance(found, dict) else {"data": found}
    rows = whole.get("data", whole.get("rows"))
    if not isinstance(rows, list):
        raise Unreadable("the export is no list of rows, and has none under `data` or `rows`")
    return [cast("dict[str, Any]", row) for row in cast("list[Any]", rows) if isinstance(row, dict)]


def _column(record: Mapping[str, Any], part: str) -> str:
    known = {name.strip().lower().replace(" ", "_"): name for name in record if name}
    found = next((known[name] for name in NAMES[part] if name in known), None)
    if found is None:
        raise Unreadable(f"no column for the {part}: one of {', '.join(NAMES[part])} is needed")
    return found


def _row(number: int, record: Mapping[str, Any], columns: Mapping[str, str]) -> Row:
    try:
        usd = float(str(record[columns["usd"]]).strip().lstrip("$") or 0)
        usd = usd if math.isfinite(usd) else float("no amount")
        return Row(_date(record[columns["day"]]), str(record[columns["model"]]).strip(), usd)
    except (ValueError, TypeError, KeyError, OverflowError):
        raise Unreadable(f"row {number} has no readable date and cost") from None


def _date(value: object) -> str:
    text = str(value).strip()
    if text.replace(".", "", 1).isdigit() and len(text) >= 9:  # seconds since the epoch
        return datetime.fromtimestamp(float(text), UTC).date().isoformat()
    return datetime.fromisoformat(text[:10]).date().isoformat()
