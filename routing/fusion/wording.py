"""A fuse in words: one line of who agrees, who says what else, how sure, what it cost; and a page for readers. Pure."""

import json
from collections import Counter
from typing import Any

from .result import FuseResult


def summary(result: FuseResult) -> str:
    """One line: who agrees, who says what else, how sure, what it cost."""
    parts = [_agreement(result)]
    for dissent in result.dissent[:2]:
        verb = "says" if len(dissent.models) == 1 else "say"
        parts.append(f"{', '.join(dissent.models)} {verb} {_brief(dissent.answer)}")
    value = result.confidence.value
    parts.append(
        "no measured confidence" if value is None else f"confidence {value:.2f} ({_BASES[result.confidence.basis]})"
    )
    if result.status == "abstained" and (step := _step(result)):
        parts.append(step)
    cost = "cost unknown" if result.cost_usd is None else f"${result.cost_usd:.4f}"
    saved = result.stopped.calls_saved
    calls = f", {saved} call{'s' if saved != 1 else ''} saved" if saved else ""
    parts.append(f"{cost}, {result.latency_s:.1f} s{calls}")
    return "; ".join(parts)


_BASES = {"default-table": "measured", "calibrated": "from your feedback", "judge": "judged", "none": "no basis"}


def outcome(result: FuseResult) -> str:
    """What came of it, why, and what to do next: for a receipt, which is kept where texts are not – no word of an answer."""
    return "; ".join(part for part in (_agreement(result), *result.reasons, _step(result)) if part)


def _step(result: FuseResult) -> str:
    if result.status == "abstained" and result.clusters:
        return 'lower min_confidence, or use on_low="flag", to be given the answer'
    if result.status == "abstained" and any(one.status == "truncated" for one in result.candidates):
        return "raise max_cost_usd, or name models that may write more"
    return _STEPS.get(result.status, "")


_STEPS = {
    "abstained": 'say in the prompt how the answer is to be written, or ask with answer="text"',
    "split": 'effort="thorough" asks more models; clusters and dissent say who holds what',
    "degraded": "ask again, or name other models, to hear those that are missing",
    "single": "name models to hear more than one",
}
_SILENT = {
    "abstained": "without one",
    "truncated": "cut off before it",
    "refused": "refused",
    "failed": "failed",
    "unaffordable": "not to be paid",
}


def _agreement(result: FuseResult) -> str:
    if result.answer is None and not result.clusters:
        return f"none of {result.agreement.asked} gave an answer that could be found{_silence(result)}"
    if result.status == "abstained":
        return f"withheld: only {result.agreement.votes} of {result.agreement.asked} agree"
    winners = result.clusters[0].models if result.clusters else ()
    if result.method == "collect":
        answers = "the same answer" if len(result.clusters) == 1 else f"{len(result.clusters)} answers"
        return f"{result.agreement.asked} models gave {answers}: write the synthesis from the candidates"
    if result.method == "synthesize":
        return f"written by a judge from {result.agreement.asked} answers"
    agree = "agrees" if result.agreement.votes == 1 else "agree"
    return f"{result.agreement.votes} of {result.agreement.asked} {agree} ({', '.join(winners)})"


def _silence(result: FuseResult) -> str:
    count = Counter(one.status for one in result.candidates)
    told = [f"{count[status]} {words}" for status, words in _SILENT.items() if count[status]]
    return f" ({', '.join(told)})" if set(count) - {"abstained"} and told else ""


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:59]}…"


def page(result: FuseResult, *, full: bool = False) -> str:
    """The result for who reads only text: the answer, every text where the host shall write, what to look at again."""
    parts = [result.text if result.kind in ("text", "code") or result.answer is None else _written(result.answer)]
    if full or (result.method == "collect" and result.texts):
        parts += [f"## {model}\n{text}" for model, text in result.texts.items()]
    if result.needs_review:
        parts.append("Needs review: " + "; ".join(result.reasons))
    return "\n\n".join(part for part in (*parts, f"— {result.summary} · {result.id}") if part)


def _written(answer: Any) -> str:
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
