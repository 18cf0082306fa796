"""A label: one of the given ones, else a short free name. Case, width and blanks do not count; nothing else is fuzzy."""

import re
import unicodedata

from . import Form, Spec
from ._spans import field, stated

_MAX_CHARS = 80  # a longer bare text is prose, not a label
_WRAPPING = " \t\r\n\"'`*.()[]"


def find(text: str, spec: Spec) -> str | None:
    """The JSON field or `answer:` line, else what follows `answer is`, else a text that is short enough to be a label."""
    span = field(text)
    if span is None:
        span = stated(text)
    if span is None and len(text.strip()) <= _MAX_CHARS:
        span = text
    if span is not None and (known := _known(span, spec.choices)):
        return known
    if spec.choices:
        return _known(text.rstrip().rsplit("\n", 1)[-1], spec.choices)
    return span.strip(_WRAPPING) or None if span is not None else None


def _known(span: str, choices: tuple[str, ...]) -> str | None:
    """The given label that `span` is, else the only one that stands in it as whole words."""
    bare = folded(span.strip(_WRAPPING))
    for choice in choices:
        if folded(choice) == bare:
            return choice
    hits = [c for c in choices if re.search(rf"(?<!\w){re.escape(folded(c))}(?!\w)", folded(span))]
    longest = [c for c in hits if all(c == other or folded(other) in folded(c) for other in hits)]
    return longest[0] if len(longest) == 1 else None


def folded(text: str) -> str:
    """NFKC, case folded, blanks collapsed."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def key(span: str, spec: Spec) -> str | None:
    """The folded label."""
    del spec
    return folded(span) or None


form = Form(find, key, table="choice", line="the label alone")
