"""A letter of a multiple-choice question. With `choices` given, only their letters exist and their texts count too."""

import re

from . import Form, Spec
from ._options import concluded, quoted
from ._spans import quoted_field

_NEXT_QUESTION = re.compile(r"\n[ \t]*+(?:Question|Q):")
_DEFAULT_LETTERS = 10  # A to J, where nobody said how many options there are
_PRAISE = r"(?i:correct|best|closest|right)"
_WRAPPER = r"(?:\\text\{|\\mathbf\{|\\boxed\{)?"
# Upper case stands alone; lower case only in brackets: "the answer is a combination" is no vote for A.
_LETTER = r"(?:\(?([A-Z])(?![\w'])|\(([a-z])\))"
_IN_PHRASE = r"\(?([A-Z]|(?<=\()[a-z](?=\)))"
_STATED = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?m)^[^\w\n]*+ANSWER:[^\w\n]*+([A-Z])(?![\w'])",  # the line we ask for
        r"(?i:answer)\s++(?i:is)\s*+:?\s*+\**+\s*+\\?(?:\((?![a-z]\)))?\[?\s*(?i:option\s*)?\$?" + _WRAPPER + _LETTER,
        r"(?i:answer)\s*+:\s*+\**+\s*+(?i:option\s*)?" + _LETTER,
        _PRAISE + r"\s++(?i:answer|option|choice|statement)[^.\n]{0,60}?\b(?i:is|:)\s*+:?\s*+\**+(?i:option\s*)?"
        rf"{_IN_PHRASE}[\).:*\s]",
        rf"(?i:option|choice)\s+{_IN_PHRASE}\)?\s++is\s++(?:the\s++)?{_PRAISE}",
        r"\\boxed\{\s*+(?:\\text\{)?(?:\(?([A-Z])\)?\b|\(([a-z])\))",
    )
)
_LEADING = re.compile(r"^\W*([A-Za-z])(?![\w'])")
_ISOLATED = re.compile(r"(?:^|[\s(*])\(?([A-Z])(?:[\).:*]|\s*$)")
_IN_LATEX = re.compile(r"(?i:answer\s++is)[\s:]*+\}?\s*+\(?\\?\(?" + _WRAPPER + r"\s*+\(?([A-Z])\b")


def find(text: str, spec: Spec) -> str | None:
    """What is stated as the answer, else the option given by its text, else the last letter that stands alone."""
    if follow := _NEXT_QUESTION.search(text):
        text = text[: follow.start()]
    letters = len(spec.choices) or _DEFAULT_LETTERS
    if (value := quoted_field(text)) is not None:
        return _in_field(value, spec.choices, letters)
    for pattern in _STATED:
        if letter := _last(pattern, text, letters):
            return letter
    if (at := quoted(text, spec.choices)) is not None:
        return chr(65 + at)
    for pattern, span in ((_ISOLATED, text[-120:]), (_IN_LATEX, text)):
        if letter := _last(pattern, span, letters):
            return letter
    at = concluded(text, spec.choices)
    return None if at is None else chr(65 + at)


def _in_field(value: str, choices: tuple[str, ...], letters: int) -> str | None:
    """A JSON field says it outright: a letter, or an option's text."""
    if letter := _last(_LEADING, value, letters):
        return letter
    at = quoted(value, choices)
    return None if at is None else chr(65 + at)


def _last(pattern: re.Pattern[str], text: str, letters: int) -> str | None:
    """The last match that is the letter of an option there is."""
    hits = ("".join(match.groups("")).upper() for match in pattern.finditer(text))
    return next(reversed([letter for letter in hits if ord(letter) - 65 < letters]), None)


def key(span: str, spec: Spec) -> str | None:
    """The letter."""
    del spec
    return span.upper()


form = Form(find, key, table="choice", line="the letter of the right option alone")
