"""What the simulated models say: pure, and the same for the same question whoever asks and whenever.

Closed questions (sums, options A to J, yes or no, "one of: …") have an answer on which all models agree, but for
`dissenter`; everything else is answered with a few words about the prompt. Every text begins `[simulated]`.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from operator import add, mul, sub

from ..types import Answer, FinishReason, Image, Message, Reasoning, Request, Text, Tool, ToolCall, ToolResult, Usage
from .instance import instance

LABEL = "[simulated]"
MODELS = ("fast", "smart", "slow", "flaky", "echo", "dissenter", "embed")
DIMENSIONS = 64  # of a simulated embedding

_SUM = re.compile(r"(-?\d{1,9})\s*([-+*/x×÷])\s*(-?\d{1,9})")
_SIGNS: dict[str, Callable[[int, int], int]] = {"+": add, "-": sub, "*": mul, "x": mul, "×": mul}
_OPTION = re.compile(r"^\s*\(?([A-J])[).:]\s", re.MULTILINE)
_ONE_OF = re.compile(r"one of(?: these| the following)?:?\s*([^.\n?]+)", re.IGNORECASE)
_YES_NO = re.compile(
    r"yes or no|(?:^|[.!?]\s+)(?:is|are|was|were|do|does|did|can|could|will|would|should|has|have)\s[^.!?]*\?\s*$",
    re.IGNORECASE,
)
_PIECE = re.compile(r"\s*\S{1,6}|\s+")


def pieces(text: str) -> list[str]:
    """The text in tokens of the simulator's own: up to six letters with the space before them."""
    return _PIECE.findall(text)


def prompt_tokens(request: Request) -> int:
    """Input tokens as the simulator counts them: texts by pieces, three a message, 256 an image."""
    counted = len(pieces(request.system)) + 3 * len(request.messages)
    for message in request.messages:
        for part in message.parts:
            counted += 256 if isinstance(part, Image) else len(pieces(_text_of(part)))
    return counted + sum(len(pieces(tool.name + tool.description)) + 8 for tool in request.tools)


def say(model: str, request: Request) -> Answer:
    """What `model` answers. Obeys `max_tokens`, `stop`, `schema` and tools; never fails."""
    question = _last_user(request.messages)
    thought = _thought(request, question)
    calls = _calls(request, question)
    text = "" if calls else _text(model, request, question)
    text, finish = _limited(text, request)
    output, thinking = len(pieces(text)) + 8 * len(calls), sum(len(pieces(each.text)) for each in thought)
    return Answer(
        text=text,
        reasoning=thought,
        tool_calls=calls,
        finish_reason="tool_calls" if calls else finish,
        usage=Usage(input=prompt_tokens(request), output=output + thinking, reasoning=thinking),
        usage_seen=True,
        model_returned=model,
        simulated=True,
    )


def embed(text: str) -> tuple[float, ...]:
    """A unit vector by hashed words and word pairs: texts that share words are near each other."""
    words = re.findall(r"\w+", text.lower())
    vector = [0.0] * DIMENSIONS
    for feature in [*words, *(" ".join(pair) for pair in pairwise(words))] or [""]:
        digest = _number(feature)
        vector[digest % DIMENSIONS] += 1.0 if digest & 64 else -1.0
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return tuple(value / length for value in vector)


def closed(question: str, *, other: bool = False) -> str | None:
    """The answer to a closed question, or None if it is none; `other` gives one that differs."""
    if found := _SUM.search(question):
        return _sum(found, other=other)
    if len(options := list(dict.fromkeys(_OPTION.findall(question)))) > 1:
        return _pick(options, question, other=other)
    if found := _ONE_OF.search(question):
        named = [choice.strip(" '\"") for choice in re.split(r",|\bor\b|\band\b", found[1]) if choice.strip(" '\"")]
        return _pick(named, question, other=other) if len(named) > 1 else None
    return _pick(["yes", "no"], question, other=other) if _YES_NO.search(question.strip()) else None


def _sum(found: re.Match[str], *, other: bool) -> str:
    left, sign, right = int(found[1]), found[2], int(found[3])
    value = _SIGNS[sign](left, right) if sign in _SIGNS else left // right if right else 0
    return str(value + 1 if other else value)


def _pick(choices: Sequence[str], question: str, *, other: bool) -> str:
    normal = " ".join(question.lower().split())
    return choices[(_number(normal) + other) % len(choices)]


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest())


def _text_of(part: object) -> str:
    match part:
        case Text() | Reasoning() | ToolResult():
            return part.text
        case ToolCall():
            return part.name + part.arguments
        case _:
            return ""


def _last_user(messages: Sequence[Message]) -> str:
    return next((message.text for message in reversed(messages) if message.role == "user"), "")


def _thought(request: Request, question: str) -> tuple[Reasoning, ...]:
    if request.reasoning in (None, "none"):
        return ()
    return (Reasoning(f"{LABEL} Thinking ({request.reasoning}) about: {_short(question)}"),)


def _calls(request: Request, question: str) -> tuple[ToolCall, ...]:
    """A call when one is forced, or when the prompt names a tool and its result is not there yet."""
    answered = bool(request.messages) and request.messages[-1].role == "tool"
    if not request.tools or request.tool_choice == "none" or answered:
        return ()
    named = [tool for tool in request.tools if tool.name == request.tool_choice or tool.name in question]
    if request.tool_choice == "required" and not named:
        named = [request.tools[0]]
    wanted = named if request.parallel_tools else named[:1]
    return tuple(_call(tool, index, question) for index, tool in enumerate(wanted))


def _call(tool: Tool, index: int, question: str) -> ToolCall:
    arguments = json.dumps(instance(tool.parameters, closed(question) or _short(question)))
    return ToolCall(f"call_{_number(tool.name + question) % 10**8:08d}{index}", tool.name, arguments)


def _text(model: str, request: Request, question: str) -> str:
    settled = closed(question, other=model == "dissenter")
    if request.schema is not None:
        return json.dumps(instance(request.schema, settled or f"{LABEL} {_short(question)}"), ensure_ascii=False)
    if model == "echo":
        told = [request.system, *(_text_of(part) for message in request.messages for part in message.parts)]
        return f"{LABEL} " + "\n".join(text for text in told if text)
    if request.messages and request.messages[-1].role == "tool":
        results = [_short(_text_of(part)) for part in request.messages[-1].parts]
        return f"{LABEL} The tool said: {'; '.join(results)}"
    if settled is not None:
        return f"{LABEL} The answer is {settled}."
    return f"{LABEL} {_opinion(model)} You asked: {_short(question)}"


def _opinion(model: str) -> str:
    if model == "smart":
        return "There are two sides to this, and both deserve a careful look before anything is decided."
    if model == "dissenter":
        return "I see it otherwise than the others do."
    return "Here is a short answer."


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else line[:159] + "…"


def _limited(text: str, request: Request) -> tuple[str, FinishReason]:
    ends = [end for stop in request.stop if stop and (end := text.find(stop)) >= 0]
    if ends:
        text = text[: min(ends)]
    if request.max_tokens is not None and len(tokens := pieces(text)) > request.max_tokens:
        return "".join(tokens[: max(0, request.max_tokens)]), "length"
    return text, "stop"


def halved(answer: Answer) -> Answer:
    """The first half of it, with no word about why it ended."""
    tokens = pieces(answer.text)
    return replace(answer, text="".join(tokens[: len(tokens) // 2]), finish_reason=None)
