"""A larger panel after one that was in doubt: who is left to ask, what that may cost, what need not be asked again. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from providers.types import Request

from ..envelope import LEAST_OUTPUT, cost_usd, default_output
from ..types import Deployment, Receipt
from .answers import Spec, extract
from .ask import FuseAsk
from .result import Candidate, FuseResult
from .types import Ballot, Member

_HEARD = ("answered", "abstained")


def further(ask: FuseAsk, first: FuseResult, usd: float) -> FuseAsk:
    """The same of everybody, for `usd` more at most; it begins with what `first` heard.

    Its request_id follows from `first`: whoever comes with the same yes twice is given what the first yes bought.
    """
    more = replace(ask.ask, key=f"{ask.ask.key}+{first.id}", request_id=f"{first.id}-more", max_cost_usd=usd)
    return replace(ask, ask=more, effort="thorough", onto=first)


def reread(first: FuseResult, members: Sequence[Member], spec: Spec) -> list[Ballot]:
    """The ballots of those who spoke then: paid for there, not here."""
    told = {f"{candidate.provider}/{candidate.model}": candidate for candidate in first.candidates}
    return [
        _ballot(first, member, told[member.name], spec)
        for member in members
        if member.name in told and told[member.name].status in _HEARD
    ]


def price(request: Request, first: FuseResult, members: Sequence[Member], room_usd: float | None) -> float | None:
    """What asking those of `members` that `first` did not hear may cost, USD and never above the room.

    None where nobody would be asked who was not before, or where the room does not pay everybody's shortest answer.
    """
    told = {f"{candidate.provider}/{candidate.model}": candidate.status for candidate in first.candidates}
    due = [member.deployment for member in members if told.get(member.name) not in _HEARD]
    if all(deployment.name in told for deployment in due):
        return None
    read = first.receipt.usage.input if first.receipt else 0  # by all of the first: more than any one will count
    most = sum(_usd(d, read, request.max_tokens or default_output(request, d.card)) for d in due)
    least = sum(_usd(d, read, min(LEAST_OUTPUT, request.max_tokens or LEAST_OUTPUT)) for d in due)
    if room_usd is None:
        return most
    return min(most, room_usd) if least <= room_usd else None


def _usd(deployment: Deployment, read: int, written: int) -> float:
    return cost_usd(deployment.price, read, written) if deployment.price else 0.0


def _ballot(first: FuseResult, member: Member, told: Candidate, spec: Spec) -> Ballot:
    text = first.texts.get(member.name, "")
    found = extract(text, spec) if text.strip() else None
    if found is None and told.answer:  # a second call had read it out
        found = extract(f"ANSWER: {told.answer}", spec)
    receipt = Receipt(
        first.id, provider=told.provider, model=told.model, finish_reason="stop", latency_s=told.latency_s
    )
    status = "answered" if found else "abstained"
    return Ballot(
        member, status, text, found, f"heard in {first.id}", replace(receipt, cost_usd=0.0, cached="replayed")
    )
