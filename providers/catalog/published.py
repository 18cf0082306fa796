"""A second price table, fetched when a person asks for it: models.dev's. It is newer than ours, and knows fewer tariffs.

Where both agree on input and output ours is kept, for its tiers, hours and dates; where not the newer one holds and the
price says so. Facts only: nothing else of the document is read.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, cast

from ..types import Price

URL = "https://models.dev/api.json"
# What models.dev calls those we have a row for.
OURS: Mapping[str, str] = {
    "openai": "openai", "anthropic": "anthropic", "google": "gemini", "xai": "xai", "deepseek": "deepseek",
    "mistral": "mistral", "cohere": "cohere", "groq": "groq", "togetherai": "together", "cerebras": "cerebras",
    "perplexity": "perplexity", "openrouter": "openrouter", "azure": "azure",
}  # fmt: skip
LEAST = 20  # models; a document with fewer is not the table
DEAREST = 10_000.0  # USD per million tokens: beyond it somebody mistook the unit
_FIELDS = "input", "output", "cache_read", "cache_write"

Four = tuple[float, float, float | None, float | None]


class NotATable(Exception):
    """The document is not what models.dev publishes."""


@dataclass(frozen=True, slots=True)
class Published:
    """USD per million tokens by our provider's name and model: input, output, cache read, cache write."""

    fetched: date | None = None
    tables: Mapping[str, Mapping[str, Four]] = field(default_factory=dict[str, Mapping[str, Four]])

    def price(self, provider: str, model: str) -> Price | None:
        """What this table says, if it knows the model."""
        found = self.tables.get(provider, {}).get(model.lower())
        return Price(*found, source=f"models.dev {self.fetched}") if found else None

    def __len__(self) -> int:
        return sum(map(len, self.tables.values()))


NOTHING = Published()


def published(document: object, today: date) -> Published:
    """Read models.dev's document. Raises NotATable."""
    tables: dict[str, dict[str, Four]] = {}
    for name, entry in _pairs(document):
        if (ours := OURS.get(name)) is not None and isinstance(entry, Mapping):
            models = cast("Mapping[str, Any]", entry).get("models")
            tables[ours] = {id_.lower(): four for id_, model in _pairs(models) if (four := _four(model))}
    found = Published(today, tables)
    if len(found) < LEAST:
        raise NotATable(f"it prices {len(found)} models of providers Plenum knows; the table has hundreds")
    return found


def saved(table: Published) -> Mapping[str, object]:
    """The table as JSON."""
    return {"fetched": str(table.fetched), "prices": table.tables}


def restored(document: object) -> Published:
    """What `saved` made. Raises NotATable: a file that was changed by hand or cut is not believed in part."""
    try:
        root = cast("Mapping[str, Any]", document)
        tables = {name: {id_: _kept(row) for id_, row in held.items()} for name, held in root["prices"].items()}
        return Published(date.fromisoformat(root["fetched"]), tables)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise NotATable("it is not what `plenum prices refresh` wrote") from None


def _pairs(document: object) -> Iterator[tuple[str, object]]:
    if isinstance(document, Mapping):
        yield from cast("Mapping[str, object]", document).items()


def _four(model: object) -> Four | None:
    cost = cast("Mapping[str, Any]", model).get("cost") if isinstance(model, Mapping) else None
    if not isinstance(cost, Mapping):
        return None
    values = [cast("Mapping[str, Any]", cost).get(name) for name in _FIELDS]
    return _kept(values) if _usable(values) else None


def _kept(values: Sequence[Any]) -> Four:
    if not _usable(values):
        raise ValueError("no prices")
    return cast("Four", tuple(None if value is None else float(value) for value in values))


def _usable(values: Sequence[Any]) -> bool:
    two = len(values) == len(_FIELDS) and None not in values[:2]
    return two and all(value is None or _is_price(value) for value in values)


def _is_price(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return math.isfinite(value) and 0 <= value <= DEAREST
