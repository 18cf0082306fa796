"""From what the manager gave to a ballot. Pure. What is cut or refused is an abstention, unless its answer was complete."""

import re

from ..errors import BudgetExceeded, Refusal, Refused
from ..types import Result
from .answers import Found, Spec, extract
from .types import Ballot, BallotStatus, Member

_CLOSED_FIELD = re.compile(r'"answer"\s*:\s*(?:"(?:[^"\\]|\\.)*"|-?\d[\d.]*\s*[,}\n]|true|false)', re.DOTALL)
_CLOSED_LINE = re.compile(r"(?m)^[^\w\n]*+ANSWER:[^\n]+\n")


def ballot_of(member: Member, result: Result, spec: Spec) -> Ballot:
    """What a member said, with its answer if there is one."""
    answer, receipt = result.answer, result.receipt
    if answer.refusal is not None or answer.finish_reason == "content_filter":
        return Ballot(member, "refused", answer.text, receipt=receipt)
    if answer.finish_reason in ("length", "context_length") and not _complete(answer.text):
        return Ballot(member, "truncated", answer.text, receipt=receipt)
    found = _found(answer.text, spec)
    return Ballot(member, "answered" if found else "abstained", answer.text, found, receipt=receipt)


def _complete(text: str) -> bool:
    return _CLOSED_FIELD.search(text) is not None or _CLOSED_LINE.search(text) is not None


def _found(text: str, spec: Spec) -> Found | None:
    return extract(text, spec) if text.strip() else None


def lost(member: Member, refusal: Refusal) -> Ballot:
    """A member that could not be asked, or did not answer."""
    status: BallotStatus = "failed"
    if isinstance(refusal, BudgetExceeded):
        status = "unaffordable"
    elif isinstance(refusal, Refused):
        status = "refused"
    return Ballot(member, status, reason=refusal.message, receipt=refusal.receipt)
