"""One fuse after polling, and the receipt of its whole tree. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from providers.types import Usage

from ..types import Attempt, CostBasis, Receipt
from .ask import Course, FuseAsk
from .panel import Panel
from .types import Ballot, Verdict

LOST = ("failed", "unaffordable", "cancelled")
# the most doubtful part names the whole
_DOUBT: tuple[CostBasis, ...] = ("unpriced", "estimated", "priced", "reported")


@dataclass(frozen=True, slots=True)
class Hearing:
    """One fuse after polling: all there is to tell it. `others` are receipts of the judge and of a repair."""

    id: str
    ask: FuseAsk
    course: Course
    panel: Panel
    heard: tuple[Ballot, ...]
    left_alone: tuple[Ballot, ...] = ()
    left_costs: tuple[Attempt, ...] = ()
    others: tuple[Receipt, ...] = ()
    early: bool = False
    late: bool = False  # the deadline ended it
    seconds: float = 0.0
    at: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def polled(self) -> tuple[Ballot, ...]:
        """Members whose opinion is known, if only that they had none."""
        return tuple(ballot for ballot in self.heard if ballot.status not in LOST)


def tree(hearing: Hearing, verdict: Verdict) -> Receipt:
    """One receipt over all members, the judge and those left alone."""
    receipts = [*(b.receipt for b in hearing.heard if b.receipt), *hearing.others]
    attempts = (*(a for r in receipts for a in r.attempts), *hearing.left_costs)
    speaker = verdict.winner.speaker.receipt if verdict.winner else None
    known = [r.cost_usd for r in receipts if r.cost_usd is not None] + [
        a.cost_usd for a in hearing.left_costs if a.cost_usd is not None
    ]
    bases = {r.cost_basis for r in receipts if r.cost_usd} | {a.cost_basis for a in hearing.left_costs if a.cost_usd}
    doubt: list[CostBasis] = [basis for basis in _DOUBT if basis in bases]
    unknown = [r for r in receipts if r.cost_usd is None]
    return Receipt(
        id=hearing.id,
        conversation=hearing.ask.ask.conversation or hearing.id,
        provider=speaker.provider if speaker else "",
        model=speaker.model if speaker else "",
        model_returned=speaker.model_returned if speaker else "",
        strategy=f"fuse/{hearing.course.name}",
        reasoning=f"{hearing.course.spec.kind}, {hearing.course.rule}",
        finish_reason=speaker.finish_reason if speaker else "",
        usage=_added(receipts),
        cost_usd=None if unknown and not known else sum(known),
        cost_basis=doubt[0] if doubt else "priced",
        latency_s=hearing.seconds,
        cached="no",
        simulated=any(r.simulated for r in receipts),
        attempts=attempts,
        context=tuple({use.server: use for r in reversed(receipts) for use in r.context}.values()),
        warnings=tuple(
            dict.fromkeys(w for r in receipts for w in r.warnings if not w.startswith("max_tokens was not"))
        ),
        caller=hearing.ask.ask.caller,
        task=hearing.ask.ask.task or "",
        at=hearing.at,
    )


def _added(receipts: Sequence[Receipt]) -> Usage:
    usages = [receipt.usage for receipt in receipts]
    return Usage(
        sum(u.input for u in usages),
        sum(u.output for u in usages),
        sum(u.cached_input for u in usages),
        sum(u.cache_write for u in usages),
        sum(u.reasoning for u in usages),
        estimated=any(u.estimated for u in usages),
    )
