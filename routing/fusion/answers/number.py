"""A number: thousands commas, currency signs and the unit behind it do not count."""

import re

from . import Form, Spec
from ._spans import boxed, field, last, stated
from .math import canonical

_HASHES = re.compile(r"####\s*+([-\d.,/]+)")
_STATED = re.compile(r"answer\s+(?:is|=|:)\s*+:?\s*+\$?\**+([-\d.,/]+)", re.IGNORECASE)
_ANY = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_NUMBERS = re.compile(r"-?\$?\d[\d,]*(?:\.\d+)?(?:/\d+)?")
_LEADING = re.compile(r"\s*[-$]?\d")
_MAX_DIGITS = 300  # more is no number anybody asked for


def find(text: str, spec: Spec) -> str | None:
    """The JSON field, the last box, `#### n`, `answer is n`, the last number; then the one number meant in there."""
    del spec
    span = field(text)
    if span is None:
        span = boxed(text) or _anywhere(text)
    if span is None or not span.strip():
        return None
    return _meant(span)


def _anywhere(text: str) -> str | None:
    for pattern in (_HASHES, _STATED):
        if match := last(pattern, text):
            return match[1]
    match = last(_ANY, text)
    return match[0] if match else stated(text)


def _meant(span: str) -> str:
    numbers = _NUMBERS.findall(span)
    if not numbers:
        return span
    return numbers[0] if len(numbers) == 1 or _LEADING.match(span) else numbers[-1]


def key(span: str, spec: Spec) -> str | None:
    """The math key without currency and commas; what is no number at all abstains when it is longer than any number."""
    del spec
    return canonical(span.replace("$", "").replace(",", "")) if len(span) <= _MAX_DIGITS else None


form = Form(find, key, line="the number alone")
