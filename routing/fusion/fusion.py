"""The life of one fuse: panel → poll → decide → how sure → keep. Only here is the order known.

Members are asked through the provider manager by exact name, out of one envelope. Below: everything else of this folder.
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Protocol

import anyio

from ..errors import BudgetExceeded, InvalidRequest, ProvidersFailed, Refusal, Refused
from ..events import Fused, Observer, Progressed, Tell, failed, silent, unobserved
from ..ports import Directory, NoRecall, Recall
from ..recall import digest
from ..types import Ask, Deployment, Receipt, Result
from . import methods
from .answers import kinds
from .ask import Course, FuseAsk, FusionSettings, course, member_ask, told
from .calibration import Lessons, NoLessons
from .confidence import Confidence
from .further import further, price, reread
from .hearing import Hearing, tree
from .judging import Court, Embedding, NoEmbedding, choose
from .panel import Panel
from .polling import Polling, Terms
from .reading import ballot_of, lost
from .repair import asking, cheapest, needed, repaired
from .result import FuseResult, Stopped, revived
from .seating import Seating
from .summing import Sum, sum_up
from .summing import told as tell_all
from .tally import Tally
from .types import Ballot, Member, Poll, Verdict


class Manager(Protocol):
    """The provider manager as fusion sees it."""

    async def generate(self, ask: Ask, tell: Tell = silent) -> Result: ...

    async def explain(self, ask: Ask) -> Receipt: ...


class Envelopes(Protocol):
    """The purse as fusion sees it: one sum for everything that is `part_of` an id."""

    def envelope(self, id: str, usd: float | None) -> AbstractContextManager[None]: ...  # noqa: A002


class NoEnvelopes:
    """No limits."""

    def envelope(self, id: str, usd: float | None) -> AbstractContextManager[None]:  # noqa: A002
        """Limit nothing."""
        del id, usd
        return nullcontext()


@dataclass(frozen=True, slots=True)
class Means:
    """What fusion stands on besides the manager; `latency_s` is what is known of deployments, by name."""

    purse: Envelopes = field(default_factory=NoEnvelopes)
    recall: Recall = field(default_factory=NoRecall)
    tally: Tally = field(default_factory=Tally)
    lessons: Lessons = field(default_factory=NoLessons)
    embedding: Embedding = field(default_factory=NoEmbedding)
    latency_s: Mapping[str, float] = field(default_factory=dict[str, float])
    observer: Observer = unobserved
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    ids: Callable[[], str] = lambda: secrets.token_hex(8)


@dataclass(slots=True)
class _Fuse:
    """One fuse on its way."""

    id: str
    ask: FuseAsk
    course: Course
    panel: Panel
    candidates: tuple[Member, ...]
    tell: Tell
    deadline: float
    started: float
    at: float
    heard: list[Ballot] = field(default_factory=list[Ballot])
    left_alone: list[Ballot] = field(default_factory=list[Ballot])
    others: list[Receipt] = field(default_factory=list[Receipt])
    notes: list[str] = field(default_factory=list[str])
    early: bool = False
    late: bool = False


class Fusion:
    """Many models, one answer. Raises only Refusals, with the receipt of the whole tree, and cancellation."""

    def __init__(
        self, manager: Manager, directory: Directory, settings: FusionSettings | None = None, means: Means | None = None
    ) -> None:
        self.settings = settings or FusionSettings()
        self._manager = manager
        self._means = means or Means()
        self._seating = Seating(directory, manager.explain, self._means.lessons, self._means.latency_s)

    async def fuse(self, ask: FuseAsk, tell: Tell = silent) -> FuseResult:
        """One answer of many, or a reason. Repeated with the same request_id or joined, it is not paid again."""
        ask = replace(ask, ask=replace(ask.ask, id=ask.ask.id or self._means.ids()))
        plan = self._course(ask)
        async with self._means.recall.flight(_recalled(ask)) as flight:
            if flight.found and (known := revived(flight.found.answer, flight.found.receipt)):
                return known
            ask = replace(ask, ask=replace(flight.ask, key=ask.ask.key, cache=ask.ask.cache))
            result = await self._lead(ask, plan, tell)
            assert result.receipt is not None, "assembled"
            with anyio.CancelScope(shield=True):  # it is paid for: durable before anybody sees it
                await flight.keep(Result(result.kept(), result.receipt))
        agreement = result.agreement.votes / result.agreement.asked if result.agreement.asked else None
        members = len(result.candidates)
        saved = result.stopped.calls_saved
        self._means.observer(Fused(result.id, result.status, agreement, result.cost_usd or 0.0, members, saved))
        return result

    async def explain(self, ask: FuseAsk) -> FuseResult:
        """Who would be asked, how it would be decided, who not and why; calls nobody."""
        ask = replace(ask, ask=replace(ask.ask, id=ask.ask.id or self._means.ids()))
        fuse = await self._begin(ask, self._course(ask), silent)
        count = fuse.course.first or len(fuse.panel.members)
        first = ", ".join(member.name for member in fuse.panel.members[:count])
        left = len(fuse.panel.members) - min(count, len(fuse.panel.members))
        more = f", then up to {left} more until {UNTIL[fuse.course.rule]}" if left else ""
        hearing = self._hearing(fuse)
        plan = tell_all(hearing, Verdict(()), sum_up(hearing, Verdict(())))
        told = f"would ask {first}{more}; a {fuse.course.spec.kind} answer, decided by {fuse.course.name}"
        return replace(
            plan,
            summary=told,
            status="planned",
            confidence=Confidence(None, "none"),
            needs_review=False,
            reasons=(),
            stopped=Stopped("nobody was asked", 0, 0.0),
            receipt=plan.receipt and replace(plan.receipt, reasoning=told),
        )

    async def more(self, ask: FuseAsk, first: FuseResult, room_usd: float | None) -> float | None:
        """What a thorough panel may cost beyond `first`, USD at most and within the room; None where there is none to ask."""
        if ask.ask.conversation:  # the first answer is a turn of it already: who is asked now would read that
            return None
        larger = further(ask, first, 0.0)
        fuse = await self._begin(larger, self._course(larger), silent)
        return price(ask.ask.request, first, fuse.panel.members, room_usd)

    def _course(self, ask: FuseAsk) -> Course:
        if ask.models is not None and not ask.models:
            raise InvalidRequest("models is empty: nobody could be asked", hint='name models, or leave it at ["auto"]')
        if ask.answer != "auto" and ask.answer not in kinds():
            raise InvalidRequest(
                f"there is no answer kind {ask.answer!r}", hint=f"use auto or one of {', '.join(kinds())}"
            )
        try:
            return course(ask, self.settings)
        except KeyError as unknown:
            hint = f"use auto or one of {', '.join(methods.names())}"
            raise InvalidRequest(f"there is no fusion method {unknown}", hint=hint) from None

    async def _begin(self, ask: FuseAsk, plan: Course, tell: Tell) -> _Fuse:
        limits = (ask.ask.deadline_s, ask.ask.max_latency_s, self.settings.deadline_s)
        now = self._means.clock()
        deadline = now + min(limit for limit in limits if limit is not None)
        await self._means.lessons.fresh()
        names = self.settings.models if ask.models is None else ask.models
        panel, candidates = await self._seating.seat(ask.ask, names, plan)
        return _Fuse(ask.ask.id, ask, plan, panel, candidates, tell, deadline, now, self._means.wall())

    async def _lead(self, ask: FuseAsk, plan: Course, tell: Tell) -> FuseResult:
        try:
            fuse = await self._begin(ask, plan, tell)
            with (
                self._means.tally.watch(fuse.id),
                self._means.purse.envelope(fuse.id, ask.ask.max_cost_usd),
            ):
                return await self._run(fuse)
        except Refusal as refusal:
            self._means.observer(failed(ask.ask.id, refusal))
            raise

    async def _run(self, fuse: _Fuse) -> FuseResult:
        if (first := fuse.ask.onto) is not None:
            fuse.heard += reread(first, fuse.panel.members, fuse.course.spec)
            fuse.notes.append(
                f"{len(fuse.heard)} answers of {first.id} count here too, paid for there (${first.cost_usd or 0.0:.4f})"
            )
        await self._poll(fuse, self._unasked(fuse), fuse.course)
        await self._repair(fuse)
        if not any(ballot.status not in ("failed", "refused", "unaffordable") for ballot in fuse.heard):
            raise self._nobody(fuse)
        verdict, summed = await self._decide(fuse)
        if fuse.ask.on_low == "escalate" and summed.review and (rest := self._unasked(fuse)):
            fuse.notes.append(
                f"escalated: {len(rest)} more asked because of {'; '.join(summed.reasons) or 'low confidence'}"
            )
            fuse.course = replace(fuse.course, rule="full", first=0)
            await self._poll(fuse, rest, fuse.course)
            verdict, summed = await self._decide(fuse)
        return tell_all(self._hearing(fuse), verdict, summed)

    async def _poll(self, fuse: _Fuse, members: Sequence[Member], plan: Course) -> None:
        request = told(fuse.ask.ask.request, plan.spec)
        before = len(fuse.heard)

        async def ask_one(member: Member, number: int, sharing: int) -> Ballot:
            one = member_ask(fuse.ask.ask, request, member, fuse.id, before + number)
            left = fuse.deadline - self._means.clock()
            one = replace(one, deadline_s=left, max_latency_s=None)
            try:
                return ballot_of(member, await self._paid(fuse, one, sharing), plan.spec)
            except Refusal as refusal:
                return lost(member, refusal)

        def arrived(heard: Sequence[Ballot], asked: int) -> None:
            fuse.tell(Progressed(fuse.id, _standing(heard, asked)))

        terms = Terms(plan.rule, plan.first, plan.method.keyed, plan.weigh, self.settings.patience_s)
        polling = Polling(members, terms, ask_one, arrived)
        fuse.tell(Progressed(fuse.id, f"asking {', '.join(m.name for m in members[: plan.first or None])}"))
        await polling.run(max(0.0, fuse.deadline - self._means.clock()))
        fuse.heard += polling.heard
        fuse.left_alone += polling.left_alone
        fuse.early = polling.stopped_early
        fuse.late = fuse.late or (bool(polling.left_alone) and not polling.stopped_early)

    async def _paid(self, fuse: _Fuse, ask: Ask, sharing: int) -> Result:
        """A fair share of what is left pays, so that nobody takes it all; where that is too little, all that is left."""
        share, left = _portion(fuse, sharing), _portion(fuse, 1)
        try:
            return await self._manager.generate(replace(ask, max_cost_usd=share))
        except BudgetExceeded:
            if share == left:
                raise
        return await self._manager.generate(replace(ask, max_cost_usd=left))

    async def _repair(self, fuse: _Fuse) -> None:
        """One cheap second look, where it can matter: nothing was found yet that would settle it."""
        ballot = needed(fuse.heard, fuse.course.spec) if self.settings.repair and not fuse.early else None
        by = cheapest(fuse.candidates) if ballot else None
        if ballot is None or by is None or len(fuse.heard) + len(fuse.left_alone) >= fuse.course.max_calls:
            return
        ask = _inner(fuse)
        ask = replace(ask, max_cost_usd=_portion(fuse, 1), deadline_s=max(0.0, fuse.deadline - self._means.clock()))
        try:
            result = await self._manager.generate(asking(ask, ballot, fuse.course.spec, fuse.course.question, by))
        except Refusal as refusal:
            fuse.others += [refusal.receipt] if refusal.receipt else []
            return
        fuse.others.append(result.receipt)
        fuse.heard[fuse.heard.index(ballot)] = repaired(ballot, result.answer.text, fuse.course.spec)

    async def _decide(self, fuse: _Fuse) -> tuple[Verdict, Sum]:
        ask = _inner(fuse)
        ask = replace(ask, max_cost_usd=_portion(fuse, 1), deadline_s=max(0.0, fuse.deadline - self._means.clock()))
        judge = await self._judge(fuse)
        court = Court(self._manager.generate, ask, judge, self._means.embedding, fuse.others)
        poll = Poll(fuse.course.question, fuse.course.spec, tuple(fuse.heard), _seed(fuse.id), fuse.course.rule)
        if fuse.course.method.judged:
            fuse.tell(Progressed(fuse.id, f"{judge.name} judges" if judge else "comparing the answers"))
        verdict = await court.decide(fuse.course.method, poll)
        return verdict, sum_up(self._hearing(fuse), verdict, self._means.lessons)

    async def _judge(self, fuse: _Fuse) -> Deployment | None:
        if not fuse.course.method.judged:
            return None
        if fuse.course.judge not in ("host", "auto"):
            return (await self._seating.named(fuse.ask.ask, fuse.course.judge)).deployment
        asked = [ballot.member for ballot in fuse.heard]
        found = choose(fuse.candidates, asked)
        return found.deployment if found else None

    def _unasked(self, fuse: _Fuse) -> list[Member]:
        asked = {ballot.member.name for ballot in (*fuse.heard, *fuse.left_alone)}
        return [member for member in fuse.panel.members if member.name not in asked]

    def _hearing(self, fuse: _Fuse) -> Hearing:
        left = [
            self._means.tally.attempts(f"{fuse.id}-{n}") for n in range(1, len(fuse.heard) + len(fuse.left_alone) + 1)
        ]
        cancelled = tuple(a for attempts in left for a in attempts if a.outcome == "cancelled")
        return Hearing(
            fuse.id,
            fuse.ask,
            fuse.course,
            fuse.panel,
            tuple(fuse.heard),
            tuple(fuse.left_alone),
            cancelled,
            tuple(fuse.others),
            fuse.early,
            fuse.late,
            self._means.clock() - fuse.started,
            fuse.at,
            tuple(fuse.notes),
        )

    def _nobody(self, fuse: _Fuse) -> Refusal:
        """Why a fuse without any ballot is no answer."""
        statuses = {ballot.status for ballot in fuse.heard}
        why = "; ".join(f"{b.member.name}: {b.reason or b.status}" for b in fuse.heard) or "nobody answered in time"
        kind = ProvidersFailed
        if statuses == {"refused"}:
            kind = Refused
        elif "unaffordable" in statuses and "failed" not in statuses:
            kind = BudgetExceeded
        receipt = tree(self._hearing(fuse), Verdict(()))
        return kind(f"no member of the panel answered ({why})", hint=_HINTS[kind], receipt=receipt)


UNTIL = {"agree2": "two agree", "decided": "nobody can overtake the leader", "full": "all have answered"}
_HINTS: Mapping[type[Refusal], str] = {
    ProvidersFailed: "try again, or name other models",
    Refused: "rephrase the request",
    BudgetExceeded: "raise max_cost_usd, or ask fewer or cheaper models",
}


def _recalled(ask: FuseAsk) -> Ask:
    """The ask under which a fuse is remembered: its key covers what only a fuse has; no response cache may answer it."""
    own = repr((ask.models, ask.answer, ask.choices, ask.method, ask.effort, ask.on_low, ask.judge, ask.max_calls))
    inner = ask.ask
    return replace(inner, key=f"fuse:{inner.key or digest(inner)}:{own}", cache="off")


def _inner(fuse: _Fuse) -> Ask:
    """What a judge's or a repair's ask is made of: the envelope of the fuse, nothing of its conversation or context."""
    return replace(
        fuse.ask.ask, part_of=fuse.id, request_id=None, key="", conversation=None, strategy=None, sources=("none",)
    )


def _portion(fuse: _Fuse, sharing: int) -> float | None:
    """What one of `sharing` members may hold of what is left of the fuse's money, USD."""
    total = fuse.ask.ask.max_cost_usd
    if total is None:
        return None
    spent = sum(b.receipt.cost_usd or 0.0 for b in fuse.heard if b.receipt) + sum(
        r.cost_usd or 0.0 for r in fuse.others
    )
    return max(0.0, total - spent) / max(1, sharing)


def _standing(heard: Sequence[Ballot], asked: int) -> str:
    answers = [ballot.key for ballot in heard if ballot.key is not None]
    most = max((answers.count(key) for key in answers), default=0)
    return f"{len(heard)} of {asked} in, {most} agree" if most > 1 else f"{len(heard)} of {asked} in"


def _seed(id: str) -> int:  # noqa: A002
    return int.from_bytes(id.encode()[:8].ljust(8, b"\0"), "big")
