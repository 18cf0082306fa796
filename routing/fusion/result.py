"""What a fuse tells: the fields of the contract's §3, frozen, and their JSON. Assembled by `summing.py`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal, cast

from providers.types import Answer, Reasoning

from ..types import Receipt
from .confidence import Confidence

Status = Literal["agreed", "majority", "split", "single", "degraded", "abstained", "running", "planned"]
_APART = ("answer", "text", "texts", "receipt", "raw", "task")
MARK = "plenum/fuse"  # of the part of a stored answer that holds the whole document


@dataclass(frozen=True, slots=True)
class Agreement:
    """Votes of the winner among the members heard; `weight_share` 0..1 counts abstainers too."""

    votes: int
    asked: int
    pattern: str
    weight_share: float


@dataclass(frozen=True, slots=True)
class Cluster:
    """Members that gave the same answer."""

    answer: str
    votes: int
    weight: float
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dissent:
    """Another answer than the winner's, and the end of its reasoning."""

    answer: str
    models: tuple[str, ...]
    excerpt: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One asked member. `answer` is its extracted answer, its whole text where nobody else will show it."""

    provider: str
    model: str
    answer: str | None
    status: str
    latency_s: float
    cost_usd: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Why no more were asked, and what that saved (an estimate in USD)."""

    rule: str
    calls_saved: int
    usd_saved: float


@dataclass(frozen=True, slots=True)
class PanelTold:
    """Who was on the panel, who not and why."""

    chosen: tuple[str, ...]
    excluded: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class FuseResult:
    """One fused answer. `texts` are the members' whole texts by model; they and the receipt are not in `told()`."""

    id: str
    answer: Any
    summary: str
    status: Status
    confidence: Confidence
    agreement: Agreement
    needs_review: bool
    reasons: tuple[str, ...]
    clusters: tuple[Cluster, ...]
    dissent: tuple[Dissent, ...]
    candidates: tuple[Candidate, ...]
    panel: PanelTold
    stopped: Stopped
    cost_usd: float | None
    latency_s: float
    kind: str
    method: str
    analysis: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    text: str = ""
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    receipt: Receipt | None = None
    raw: float | None = None
    task: str = ""

    def told(self, *, full: bool = False) -> dict[str, Any]:
        """The result as JSON, its figures as exact as they are worth; `full` adds every member's text."""
        names = ("summary", *(f.name for f in fields(self)))
        plain = {name: _plain(getattr(self, name), name) for name in names if name not in _APART}
        plain = {"answer": self.answer, **plain}  # what is read first stands first, and as it was given
        if not self.analysis:
            plain.pop("analysis")
        return (
            {**plain, "text": self.text, "texts": dict(self.texts), "raw": self.raw, "task": self.task}
            if full
            else plain
        )

    def kept(self) -> Answer:
        """The answer as it is stored: its words, and behind them the document for replay and for who reads all texts."""
        document = json.dumps(self.told(full=True), ensure_ascii=False, default=list)
        words = self.text or self.summary
        return Answer(
            text=words, reasoning=(Reasoning(document, signature=MARK),), finish_reason="stop", usage_seen=True
        )


def _plain(value: Any, name: str = "") -> Any:
    if isinstance(value, float):
        return round(value, 9 if "usd" in name else 4)
    if isinstance(value, tuple):
        return [_plain(item) for item in cast("tuple[Any, ...]", value)]
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name), field.name) for field in fields(value)}
    return value


def document(answer: Answer) -> dict[str, Any] | None:
    """What a stored fuse said, with all texts; None if this answer is none of a fuse."""
    held = next((part.text for part in answer.reasoning if part.signature == MARK), None)
    return None if held is None else json.loads(held)


def revived(answer: Answer, receipt: Receipt) -> FuseResult | None:
    """A stored fuse as it was given, under its stored receipt; None if this answer is none of a fuse."""
    found = document(answer)
    if found is None:
        return None
    made: dict[str, Any] = dict(found, reasons=tuple(found["reasons"]), receipt=receipt)
    for name, kind in _LISTS.items():
        made[name] = tuple(kind(**_tuples(item)) for item in found[name])
    for name, kind in _PARTS.items():
        made[name] = kind(**_tuples(found[name]))
    return FuseResult(**made)


_LISTS: dict[str, type[Any]] = {"clusters": Cluster, "dissent": Dissent, "candidates": Candidate}
_PARTS: dict[str, type[Any]] = {
    "confidence": Confidence,
    "agreement": Agreement,
    "stopped": Stopped,
    "panel": PanelTold,
}


def _tuples(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(cast("list[Any]", value)) if isinstance(value, list) else value for name, value in plain.items()
    }
