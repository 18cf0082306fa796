"""A person said whether an answer was right: which members that makes right or wrong, and what confidence it tests. Pure."""

from collections.abc import Mapping
from typing import Any

from providers.types import Answer

from ..store.marks import Mark
from ..types import Receipt
from .answers import load
from .result import document


def mark(receipt: Receipt, answer: Answer | None, *, right: bool, at: float, identity: Mapping[str, str]) -> Mark:
    """The mark of this answer. `identity` maps `provider/model` to the model's name across providers."""
    found = document(answer) if answer else None
    if found is None:
        name = f"{receipt.provider}/{receipt.model}"
        return Mark(receipt.id, receipt.caller, at, right, models=(identity.get(name, name),))
    clusters: list[dict[str, Any]] = found["clusters"]
    winners = _names(clusters[:1], identity) if found["answer"] is not None else ()
    return Mark(
        receipt.id,
        receipt.caller,
        at,
        right,
        kind=str(found.get("task", "")),
        table=load(found["kind"]).table if found.get("raw") is not None else "",
        raw=found.get("raw"),
        models=winners,
        others=_names(clusters[1:], identity) if load(found["kind"]).closed else (),
    )


def _names(clusters: list[dict[str, Any]], identity: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(identity.get(name, name) for cluster in clusters for name in cluster["models"])
