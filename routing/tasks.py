"""What kind of task a prompt is and how hard it looks. Pure, a few regular expressions, no model.

Evidence (guide fusion-and-routing §14, ZeroEval, 14 models, 1,391 questions): kind by four regular expressions x an
accuracy table reaches the best single model at 0.87 of its cost, as good as the true dataset label (0.85) or a trained
TF-IDF classifier (0.86). Hand-made complexity scores gained nothing on the frontier (1.00), prompt length a little
(0.87): so complexity only tilts the weights and is explained, it never excludes a model.
"""

import re
from dataclasses import dataclass
from typing import Literal

from providers.types import Request

Kind = Literal["code", "math", "numeric", "text"]
Complexity = Literal["simple", "medium", "complex"]

_CODE = re.compile(r"```|\bdef \w|\[PYTHON\]|\bclass \w+[:({]|#include\b|\bSELECT\b.+\bFROM\b", re.DOTALL)
_LATEX = re.compile(r"\\frac|\\sqrt|\$[^$\n]+\$|\\[a-zA-Z]+\{")
_DIGIT = re.compile(r"\d")
_STEPS = re.compile(
    r"\b(?:prove|derive|step[- ]by[- ]step|trade-?offs?|design|refactor|debug|compare|analy[sz]e|plan)\b"
)
# Plain substring searches are far faster than these expressions: they say where looking is worth it.
_CODE_SIGNS = ("```", "def ", "[PYTHON]", "class ", "#include", "FROM")
_DIGITS = tuple("0123456789")
_STEPS_SIGNS = ("prove", "deriv", "step", "trade", "design", "refac", "debug", "compar", "analy", "plan")
_ITEM = re.compile(r"\n\s*(?:\d+[.)]|[-*])(?=\s)")  # a literal first: `^` would be tried at every character
_LOOKED_AT = 20_000  # characters: a longer prompt is complex by its length alone


@dataclass(frozen=True, slots=True)
class Task:
    """`kind` is the key into a card's `quality`; `evidence` names each rule that fired."""

    kind: str
    complexity: Complexity
    evidence: tuple[str, ...]


def classify(request: Request, kind: str | None = None) -> Task:
    """Kind (given, else by the four rules, first match wins) and complexity of what the last user turn asks."""
    text = next((m.text for m in reversed(request.messages) if m.role == "user"), "")
    looked = text[:_LOOKED_AT]
    found, rule = (kind, "given by the task") if kind else _kind(looked)
    points, signs = _points(request, looked, len(text))
    complexity: Complexity = "simple" if points <= 1 else "medium" if points <= 3 else "complex"
    return Task(found, complexity, (f"{found}: {rule}", *signs))


def _kind(text: str) -> tuple[str, str]:
    if _holds(text, _CODE_SIGNS) and _CODE.search(text):
        return "code", "a code fence, definition or query"
    if ("\\" in text or _count(text, "$") > 1) and _LATEX.search(text):
        return "math", "LaTeX"
    if _holds(text, _DIGITS) or (not text.isascii() and _DIGIT.search(text)):
        return "numeric", "a digit"
    return "text", "nothing else"


def _points(request: Request, text: str, length: int) -> tuple[int, list[str]]:
    lowered = text.lower()
    rules = (
        (2, length > 4_000, "longer than 4,000 characters"),
        (1, length > 600, "longer than 600 characters"),
        (2, _holds(lowered, _STEPS_SIGNS) and _STEPS.search(lowered) is not None, "asks to work something out"),
        (1, _several(text), "several questions or steps"),
        (1, bool(request.tools), "tools"),
        (1, request.schema is not None, "an answer schema"),
        (2, request.reasoning in ("high", "xhigh", "max"), "high reasoning asked for"),
    )
    fired = [(points, sign) for points, holds, sign in rules if holds]
    return sum([points for points, _ in fired]), [sign for _, sign in fired]


def _several(text: str) -> bool:
    questions = _count(text, "?")
    if questions > 2 or questions + _count(text, "\n") < 2:  # no line begins twice: few lines need no look
        return questions > 2
    return questions + len(_ITEM.findall("\n" + text)) > 2


def _count(text: str, sign: str) -> int:
    return text.count(sign) if sign in text else 0  # looking for one is far faster than counting none


def _holds(text: str, signs: tuple[str, ...]) -> bool:
    for sign in signs:  # noqa: SIM110 - half of what `any` over a generator costs
        if sign in text:
            return True
    return False
