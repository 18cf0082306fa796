"""From ballots and a verdict to what is told: status, confidence, reasons, dissent. Pure."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..envelope import cost_usd
from ..tasks import classify
from .answers import load
from .confidence import Calibration, Confidence, Evidence, Measured, confidence
from .hearing import Hearing, tree
from .panel import Panel
from .result import Agreement, Candidate, Cluster, Dissent, FuseResult, PanelTold, Status, Stopped
from .stopping import share
from .types import Ballot, Group, Member, Verdict
from .wording import outcome, summary

EXCERPT = 240  # characters of a dissenter's last words
SHOWN = 400  # characters of an answer in a list


@dataclass(frozen=True, slots=True)
class Sum:
    """What the ballots amount to."""

    status: Status
    confidence: Confidence
    votes: int
    asked: int
    share: float
    review: bool
    reasons: tuple[str, ...]
    raw: float | None = None


def sum_up(hearing: Hearing, verdict: Verdict, calibration: Calibration | None = None) -> Sum:
    """Status, confidence and the reasons to look again."""
    polled, winner = hearing.polled, verdict.winner
    votes = len(winner.ballots) if winner else 0
    held = share(winner, polled, hearing.course.weigh) if winner and polled else 0.0
    measured = _confidence(hearing, verdict, calibration)
    found = measured.told
    status = _status(hearing, verdict, votes)
    low = found.value is not None and found.value < hearing.course.min_confidence
    reasons = [*_reasons(hearing, verdict, status)]
    if low:
        reasons.append(f"confidence {found.value:.2f} is below {hearing.course.min_confidence:.2f}")
    if found.value is None and not hearing.course.method.collects:
        reasons.append(
            f"there is no measured confidence for {hearing.course.spec.kind} decided by {hearing.course.name}"
        )
    doubtful = status in ("split", "degraded", "abstained") and not hearing.course.method.collects
    review = low or doubtful or bool(verdict.trouble) or (status == "degraded") or (votes == 1 and len(polled) > 1)
    return Sum(
        status, found, votes, len(polled), round(held, 4), review and status != "running", tuple(reasons), measured.raw
    )


def _confidence(hearing: Hearing, verdict: Verdict, calibration: Calibration | None) -> Measured:
    course, winner = hearing.course, verdict.winner
    if not course.method.keyed:
        return Measured(Confidence(None, "judge" if verdict.judged else "none"))
    evidence = Evidence(
        load(course.spec.kind).table,
        course.rule,
        len(winner.ballots) if winner else 0,
        len(hearing.polled),
        winner.speaker.member.quality if winner else 0.0,
        tuple(len(ballot.text) for ballot in winner.ballots) if winner else (),
        len(course.question),
    )
    return confidence(evidence, calibration)


def _status(hearing: Hearing, verdict: Verdict, votes: int) -> Status:
    answered = sum(ballot.found is not None for ballot in hearing.polled)
    if answered == 0:
        return "abstained"
    lost = hearing.late or any(ballot.status in ("failed", "unaffordable") for ballot in hearing.heard)
    if lost or (answered == 1 and len(hearing.heard) > 1):
        return "degraded"
    if answered == 1:
        return "single"
    if verdict.standing:
        return verdict.standing
    if votes == answered:
        return "agreed"
    return "majority" if votes / len(hearing.polled) >= hearing.ask.min_agreement - 1e-9 else "split"


def _reasons(hearing: Hearing, verdict: Verdict, status: Status) -> Iterable[str]:
    yield from hearing.notes
    if verdict.trouble:
        yield verdict.trouble
    for ballot in hearing.heard:
        if ballot.status != "answered":
            yield f"{ballot.member.name} {_WORDS[ballot.status]}{': ' + ballot.reason if ballot.reason else ''}"
    if hearing.late:
        yield f"the time was over with {len(hearing.left_alone)} answers still out"
    if status == "split" and not hearing.course.method.collects:
        yield "no answer has enough of the votes"
    if status == "single":
        yield "only one model was worth asking: this is its own answer"
    if status == "degraded" and sum(b.found is not None for b in hearing.polled) == 1:
        yield "only one answer could be compared with nothing"


_WORDS = {
    "abstained": "gave no answer that could be found",
    "truncated": "was cut off before its answer",
    "refused": "refused",
    "failed": "failed",
    "cancelled": "was left alone",
    "unaffordable": "could not be paid",
    "answered": "answered",
}


def told(hearing: Hearing, verdict: Verdict, summed: Sum) -> FuseResult:
    """The whole result."""
    receipt = tree(hearing, verdict)
    shown, text = _answer(hearing, verdict)
    withheld = hearing.ask.on_low == "abstain" and _low(hearing, summed)
    if withheld:
        shown, summed = (
            None,
            replace(summed, status="abstained", reasons=(*summed.reasons, "on_low = abstain: withheld")),
        )
    stopped = _stopped(hearing)
    result = FuseResult(
        id=hearing.id,
        answer=shown,
        summary="",
        status=summed.status,
        confidence=summed.confidence,
        agreement=Agreement(summed.votes, summed.asked, f"{summed.votes}/{summed.asked}", summed.share),
        needs_review=summed.review or withheld,
        reasons=summed.reasons,
        clusters=tuple(_cluster(group) for group in verdict.groups),
        dissent=() if hearing.course.method.collects else tuple(map(_dissent, _others(verdict))),
        candidates=tuple(_candidate(ballot, hearing) for ballot in (*hearing.heard, *hearing.left_alone)),
        panel=_panel(hearing.panel),
        stopped=stopped,
        cost_usd=receipt.cost_usd,
        latency_s=hearing.seconds,
        kind=hearing.course.spec.kind,
        method=hearing.course.name,
        analysis=verdict.analysis,
        text="" if withheld else text,
        texts={ballot.member.name: ballot.text for ballot in hearing.heard if ballot.text},
        receipt=receipt,
        raw=summed.raw,
        task=classify(hearing.ask.ask.request).kind,
    )
    why = f"{receipt.reasoning}: {outcome(result)}"
    return replace(result, summary=summary(result), receipt=replace(receipt, reasoning=why))


def _cluster(group: Group) -> Cluster:
    return Cluster(_short(_span(group.speaker)), len(group.ballots), round(group.weight, 3), _names(group.ballots))


def _others(verdict: Verdict) -> list[Group]:
    return [group for group in verdict.groups if group is not verdict.winner]


def _dissent(group: Group) -> Dissent:
    return Dissent(_short(_span(group.speaker)), _names(group.ballots), group.speaker.text.strip()[-EXCERPT:])


def _panel(panel: Panel) -> PanelTold:
    excluded = tuple({"model": name, "why": why} for name, why in panel.excluded)
    return PanelTold(tuple(member.name for member in panel.members), excluded)


def _low(hearing: Hearing, summed: Sum) -> bool:
    value = summed.confidence.value
    return value is not None and value < hearing.course.min_confidence


def _answer(hearing: Hearing, verdict: Verdict) -> tuple[object, str]:
    """The answer as the caller wants it, and the words it stands in."""
    winner, spec = verdict.winner, hearing.course.spec
    if winner is None:
        return None, ""
    speaker = winner.speaker
    text = verdict.text or speaker.text
    if spec.kind == "json" and speaker.found and verdict.text is None:
        return json.loads(speaker.found.span), text
    if spec.kind == "choice" and hearing.ask.choices and speaker.key:
        return hearing.ask.choices[ord(speaker.key) - 65], text
    if not load(spec.kind).closed:
        return (verdict.text or (speaker.found.span if speaker.found else text)), text
    return _span(speaker), text


def _span(ballot: Ballot) -> str:
    return ballot.found.span.strip() if ballot.found else ""


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _names(ballots: Sequence[Ballot]) -> tuple[str, ...]:
    return tuple(ballot.member.name for ballot in ballots)


def _candidate(ballot: Ballot, hearing: Hearing) -> Candidate:
    deployment, receipt = ballot.member.deployment, ballot.receipt
    span = _span(ballot) if ballot.found else None
    if span is not None and not hearing.course.method.collects:
        span = _short(span)
    return Candidate(
        deployment.provider,
        deployment.model,
        span,
        ballot.status,
        round(receipt.latency_s, 4) if receipt else 0.0,
        receipt.cost_usd if receipt else None,
        ballot.reason,
    )


def _stopped(hearing: Hearing) -> Stopped:
    asked = {b.member.name for b in (*hearing.heard, *hearing.left_alone)}
    saved = [member for member in hearing.panel.members if member.name not in asked]
    rule = hearing.course.rule if hearing.early else "time" if hearing.late else "all asked"
    return Stopped(rule, len(saved), round(sum(_would_cost(member, hearing) for member in saved), 9))


def _would_cost(member: Member, hearing: Hearing) -> float:
    """The price of a call that was not made, with the tokens of those that were."""
    usages = [b.receipt.usage for b in hearing.heard if b.receipt and b.receipt.usage.output]
    if member.deployment.price is None or not usages:
        return 0.0
    count = len(usages)
    return cost_usd(
        member.deployment.price, sum(u.input for u in usages) // count, sum(u.output for u in usages) // count
    )
