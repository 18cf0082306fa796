"""What kind of answer a prompt wants, where nobody said. Pure; when in doubt it is prose, which is never counted."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .answers import Spec

_LISTED = re.compile(r"^\s*\(?([A-Z])[).:]\s+(\S.*)$", re.MULTILINE)
_INLINE = re.compile(r"(?:^|\s)\(?([A-J])\)\s+(.+?)(?=\s+\(?[A-J]\)\s|$)", re.DOTALL)
_ONE_OF = re.compile(r"\bone of(?: these| the following)?(?: labels| words)?:?\s+([^.\n?]{3,200})", re.IGNORECASE)
_YES_NO = re.compile(r"\byes or no\b", re.IGNORECASE)
_WRITE_CODE = re.compile(
    r"\b(?:write|implement|refactor|fix|complete)\b[^.\n]{0,60}\b(?:function|class|script|program|code|query|regex)\b",
    re.IGNORECASE,
)
_OUTPUT = re.compile(
    r"==\s*\?\?|\bwhat (?:does|will|is)\b[^.\n]{0,60}\b(?:return|print|output|evaluate)", re.IGNORECASE
)
_CODE = re.compile(r"```|\bdef \w|\[PYTHON\]")
_LATEX = re.compile(r"\\frac|\\sqrt|\$[^$\n]*[\\^=+][^$\n]*\$|\$[A-Za-z]{1,3}\$|\\\(|\\\[|\\[a-z]+\{")
# "2019-2020" and "24/7" are no sums
_SUM = re.compile(r"\d\s*[+*×÷]\s*\d|\d\s+[-/x]\s+\d")
_NUMBER = re.compile(r"\bhow (?:many|much|long|far|old|tall|fast|high|deep)\b|\b(?:calculate|compute)\b", re.IGNORECASE)
_QUANTITY = re.compile(
    r"\b(?:what|what's|what percent|find|determine)\b[^.?!]{0,80}\b(?:number|value|sum|total|average|mean|median|largest"
    r"|smallest|greatest|least|maximum|minimum|area|volume|perimeter|length|width|height|radius|distance|speed|temperature"
    r"|degrees|angle|probability|ratio|percent(?:age)?|price|cost|profit|amount|score|grade|remainder|product|difference)\b",
    re.IGNORECASE,
)
_DIGIT = re.compile(r"\d")
_LOOKED_AT = 20_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller said of the answer: a kind or `auto`, and what it may be."""

    kind: str = "auto"
    choices: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None


def spec(prompt: str, wanted: Wanted = Wanted()) -> Spec:
    """The shape of the answer: as said, else by the first rule that fires."""
    looked = prompt[-_LOOKED_AT:]
    kind = wanted.kind if wanted.kind != "auto" else _kind(looked, wanted)
    choices = wanted.choices
    if kind == "choice" and not choices:
        choices = options(looked)
    if kind == "label" and not choices:
        choices = labels(looked)
    return Spec(kind, choices, wanted.schema)


def _kind(prompt: str, wanted: Wanted) -> str:
    rules = (
        ("json", wanted.schema is not None),
        ("label", bool(wanted.choices)),
        ("choice", len(options(prompt)) > 1),
        ("literal", _CODE.search(prompt) and _OUTPUT.search(prompt)),
        ("code", _CODE.search(prompt) or _WRITE_CODE.search(prompt)),
        ("label", bool(labels(prompt))),
        ("math", _LATEX.search(prompt)),
        (
            "number",
            _SUM.search(prompt) or _NUMBER.search(prompt) or (_DIGIT.search(prompt) and _QUANTITY.search(prompt)),
        ),
    )
    return next((kind for kind, holds in rules if holds), "text")


def options(prompt: str) -> tuple[str, ...]:
    """The texts of the options A, B, … a prompt lists, one a line or in one line; nothing if they skip a letter."""
    for pattern in (_LISTED, _INLINE):
        found: list[str] = []
        for letter, text in pattern.findall(prompt):
            if letter == "A":
                found = []  # the last list counts: examples come before the question
            if ord(letter) - 65 == len(found):
                found.append(text.strip())
        if len(found) > 1:
            return tuple(found)
    return ()


def labels(prompt: str) -> tuple[str, ...]:
    """The words a prompt offers: yes and no, or those after `one of:`."""
    if _YES_NO.search(prompt):
        return ("yes", "no")
    match = _ONE_OF.search(prompt)
    if match is None:
        return ()
    words = [word.strip(" '\"`") for word in re.split(r",|;|\bor\b|\band\b|/", match[1])]
    known = tuple(dict.fromkeys(word for word in words if word))
    return known if len(known) > 1 and all(len(word) <= 40 for word in known) else ()
