"""One `fuse` as the caller meant it, and what each member of the panel is told of it. Pure."""

from dataclasses import dataclass, replace
from typing import Literal

from providers.types import Message, Request, Text

from ..types import Ask
from . import methods
from .answers import Spec, load
from .answers._options import normal
from .infer import Wanted, spec
from .result import FuseResult
from .stopping import Weigh
from .types import Member, Method, StopRule

Effort = Literal["quick", "balanced", "thorough"]
OnLow = Literal["flag", "escalate", "abstain"]
_FIRST = {"quick": 2, "balanced": 3}
_JUDGE_CALLS = {"select": 2, "synthesize": 1, "semantic": 1}


@dataclass(frozen=True, slots=True)
class FusionSettings:
    """`[fusion]`: confidence below which an answer needs review (0..1), most calls, who judges; `repair`: one cheap
    call may dig an answer out of a text it was not found in; `patience`: once decided, stragglers get as long again
    as it took (at least this many seconds).
    """

    min_confidence: float = 0.8
    max_calls: int = 7
    judge: str = "host"
    models: tuple[str, ...] = ("auto",)
    effort: Effort = "quick"
    repair: bool = True
    patience_s: float = 1.0
    deadline_s: float = 120.0


@dataclass(frozen=True, slots=True)
class FuseAsk:
    """`ask` holds the prompt and the envelope (money, deadline, caller); None means what `[fusion]` says.

    `models` are names as in `generate`; `answer` a kind or `auto`; `judge` is `host`, `auto` or a model's name. Whoever
    answered in `onto`, a fuse of the same, is not asked again.
    """

    ask: Ask
    models: tuple[str, ...] | None = None
    answer: str = "auto"
    choices: tuple[str, ...] = ()
    method: str = "auto"
    effort: Effort | None = None
    min_agreement: float = 0.66
    min_confidence: float | None = None
    on_low: OnLow = "flag"
    judge: str | None = None
    max_calls: int | None = None
    onto: FuseResult | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """A fuse decided before anybody is asked: what is wanted, how it is decided, when polling stops."""

    spec: Spec
    question: str
    method: Method
    name: str
    rule: StopRule
    first: int  # asked at once; 0 means all
    max_calls: int  # of members: judge calls are taken off
    judge: str
    min_confidence: float

    @property
    def weigh(self) -> Weigh:
        """A member's weight by its quality."""
        return self.method.weigh


def course(ask: FuseAsk, settings: FusionSettings) -> Course:
    """Raises KeyError (naming it) for a kind or method there is none of."""
    question = ask.ask.request.messages[-1].text if ask.ask.request.messages else ""
    wanted = spec(question, Wanted(ask.answer, ask.choices, ask.ask.request.schema))
    closed = load(wanted.kind).closed
    judge = ask.judge or settings.judge
    name = ask.method if ask.method != "auto" else _method(wanted.kind, judge, closed=closed)
    method = methods.load(name)
    effort = ask.effort or (settings.effort if closed else "balanced")
    rule: StopRule = "full"
    if method.keyed and effort != "thorough":
        rule = "agree2" if effort == "quick" else "decided"
    most = ask.max_calls or settings.max_calls
    return Course(
        wanted,
        question,
        method,
        name,
        rule,
        _FIRST.get(effort, 0),
        max(1, most - _JUDGE_CALLS.get(name, 0)),
        judge,
        settings.min_confidence if ask.min_confidence is None else ask.min_confidence,
    )


def _method(kind: str, judge: str, *, closed: bool) -> str:
    if closed:
        return "weighted"
    if judge == "host":
        return "collect"
    return "select" if kind == "code" else "synthesize"


def told(request: Request, wanted: Spec) -> Request:
    """The request with the answer contract: options where they are missing, and one line that asks for a last line."""
    form = load(wanted.kind)
    if not form.line or not request.messages or (wanted.kind == "json" and request.schema is not None):
        return request
    last = request.messages[-1]
    lines: list[str] = []
    if wanted.choices and not _shown(last.text, wanted.choices):
        lines.append(_listed(wanted))
    lines.append(f"Think first. Then end with one last line: ANSWER: and {form.line}.")
    extra = Text("\n\n" + "\n\n".join(lines))
    messages = (*request.messages[:-1], Message(last.role, (*last.parts, extra)))
    return replace(request, messages=messages, temperature=_temperature(request))


def _temperature(request: Request) -> float | None:
    # Members differ by model, not by luck; measured at temperature 0.
    return 0.0 if request.temperature is None else request.temperature


def _shown(prompt: str, choices: tuple[str, ...]) -> bool:
    words = f" {normal(prompt)} "
    return all(f" {normal(choice)} " in words for choice in choices)


def _listed(wanted: Spec) -> str:
    if wanted.kind == "label":
        return f"The answer is one of: {', '.join(wanted.choices)}."
    return "\n".join(f"{chr(65 + at)}) {choice}" for at, choice in enumerate(wanted.choices))


def member_ask(ask: Ask, request: Request, member: Member, id: str, number: int) -> Ask:  # noqa: A002
    """What one member is asked: the same, by its exact name, out of the fuse's envelope."""
    if "sampling" not in member.deployment.card.capabilities:
        request = replace(request, temperature=ask.request.temperature)
    return replace(
        ask,
        request=request,
        model=member.name,
        strategy=None,
        min_quality=None,
        part_of=id,
        id=f"{id}-{number}",
        request_id=None,
        conversation=None,
        sources=("none",),  # the fuse's own context is in the request already
        key="",
        allow_truncated=True,
    )
