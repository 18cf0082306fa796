r"""A mathematical answer: a value where it has one, else its text made plain. `1/2`, `0.5` and `\frac12` are equal."""

import math
import re

from . import Form, Spec
from ._arithmetic import evaluate
from ._latex import plain
from ._spans import boxed, field, stated

_NAMED = re.compile(r"^\s*[a-zA-Z](?:\([a-z]\))?\s*(?:=|in)\s*(.+)$")  # x = 5, f(x) = …, x in …
_UNIT = re.compile(
    r"\s*(?:dollars?|cents?|miles?|hours?|minutes?|seconds?|square units?|units?|cm|km|meters?|feet|inches|degrees?"
    r"|people|years?|days?|ways|apples|points|kg|pounds?|grams?)\b.*$",
    re.IGNORECASE | re.DOTALL,
)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?:\D|$))")
_PRODUCTS = (
    (re.compile(r"(\d|\))(?=(?:\(|sqrt|pi))"), r"\1*"),
    (re.compile(r"(pi)(?=\d|\(|sqrt)"), r"\1*"),
    (re.compile(r"\)(?=\d)"), ")*"),
)
_BARE_LIST = re.compile(r"[-\w./,()]+")
_BLANK = re.compile(r"\s+")
_EXACT = 2**53  # above it a float is no longer every integer
_MAX_CHARS = 2_000  # a longer "answer" is compared as it stands


def find(text: str, spec: Spec) -> str | None:
    """The JSON field, else the last box, else what follows the last `answer is`; blank is an abstention."""
    del spec
    for look in (field, boxed, stated):
        if (span := look(text)) is not None:
            return span if span.strip() else None
    return None


def key(span: str, spec: Spec) -> str | None:
    """`#` and the value, else the normalised text."""
    del spec
    return canonical(span)


def canonical(span: str) -> str:
    """The key of a span: `#` + value to six significant digits (whole numbers in full) if it evaluates, else text."""
    if len(span) > _MAX_CHARS:
        return _BLANK.sub("", span).lower()
    text = plain(span)
    named = _NAMED.match(text)
    if named and "=" not in named[1]:
        text = named[1]
    text = text.strip().rstrip(".").strip()
    value = _value(text)
    return _textual(text) if value is None else _printed(value)


def _value(text: str) -> float | None:
    value = _number(text)
    if value is None:
        value = _number(_UNIT.sub("", text))
    if value is None and text.count("=") == 1:
        value = _number(text.split("=")[1])
    return value


def _number(text: str) -> float | None:
    text = _THOUSANDS.sub("", text.lstrip("$").strip().replace("^", "**").replace(" ", ""))
    for pattern, product in _PRODUCTS:
        text = pattern.sub(product, text)
    return evaluate(text)


def _printed(value: float) -> str:
    if value == math.floor(value) and abs(value) < _EXACT:
        return f"#{int(value)}"
    return f"#{value:.6g}"


def _textual(text: str) -> str:
    text = _BLANK.sub("", text).lower().replace("*", "")
    if "," in text and not text.startswith(("(", "[")) and _BARE_LIST.fullmatch(text):
        return ",".join(sorted(text.split(",")))
    if "," not in text and text.startswith("(") and text.endswith(")") and text.count("(") == text.count(")"):
        return text.strip("()")
    return text


form = Form(find, key, line="the result alone, in LaTeX or plain digits")
