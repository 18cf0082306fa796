"""One simulated call, decided: what is said, how fast, and what goes wrong. In process and over HTTP alike.

Faults that are in the words are worked into the answer here; faults of the wire are left to whoever performs it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..types import Answer, Request, Usage
from .model import halved, pieces, prompt_tokens, say
from .script import Fault, Luck, Scenario


@dataclass(frozen=True, slots=True)
class Said:
    """A scripted answer: seconds until its first token, and per token. None leaves the scenario's pace."""

    answer: Answer
    latency_s: float | None = None
    token_s: float | None = None


Answers = Callable[[str, Request], Said]


@dataclass(frozen=True, slots=True)
class Plan:
    """What one call will be. `pause_s` before the first token, `token_s` for each; `fault` is one of the wire, or None."""

    answer: Answer
    pause_s: float
    token_s: float
    fault: Fault | None

    def parts(self) -> list[str]:
        """The text in the pieces it is sent in: about fifty at most, so that long answers do not cost by the token."""
        tokens = pieces(self.answer.text)
        stride = max(1, len(tokens) // 48)
        return ["".join(tokens[at : at + stride]) for at in range(0, len(tokens), stride)]


class Stage:
    """Plans calls. `answers` replaces the simulated models by recorded ones."""

    def __init__(self, scenario: Scenario | None = None, answers: Answers | None = None) -> None:
        self.scenario = scenario or Scenario()
        self._luck = Luck(self.scenario)
        self._answers = answers

    def plan(self, dialect: str, model: str, request: Request) -> Plan:
        """Decide the next call of `model`."""
        conduct, fault, text = self._luck.next(dialect, model)
        token_s = 1 / conduct.tokens_per_s if conduct.tokens_per_s else 0.0
        said = self._said(model, request, text)
        pause_s = conduct.latency_s if said.latency_s is None else said.latency_s
        token_s = token_s if said.token_s is None else said.token_s
        if fault is not None and fault.name == "slow":
            return Plan(said.answer, max(pause_s, 0.1) * fault.amount, token_s * fault.amount, None)
        return Plan(_spoiled(said.answer, fault), pause_s, token_s, fault)

    def _said(self, model: str, request: Request, text: str | None) -> Said:
        if self._answers is not None:
            return self._answers(model, request)
        if text is None:
            return Said(replace(say(model.removeprefix("sim/"), request), model_returned=model))
        usage = Usage(input=prompt_tokens(request), output=len(pieces(text)))
        answer = Answer(text=text, finish_reason="stop", usage=usage, usage_seen=True)
        return Said(replace(answer, model_returned=model, simulated=True))


def _spoiled(answer: Answer, fault: Fault | None) -> Answer:
    match fault.name if fault else "":
        case "empty":
            return replace(answer, text="", tool_calls=(), usage=replace(answer.usage, output=0))
        case "truncated":
            return replace(halved(answer), finish_reason="length")
        case "cut_stream" | "stall_stream":
            return halved(answer)
        case "no_finish":
            return replace(answer, finish_reason=None)
        case "refusal":
            refused = "I cannot help with that."
            return replace(answer, text="", tool_calls=(), finish_reason="content_filter", refusal=refused)
        case "wrong_schema":
            return replace(answer, text='{"simulated": "not what was asked for"}', tool_calls=())
        case "negative_usage":
            return replace(answer, usage=Usage(input=-1000, output=-5, estimated=True), usage_seen=False)
        case _:
            return answer
