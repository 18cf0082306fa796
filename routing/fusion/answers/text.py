"""Prose: the whole of it. Two texts are equal only if their words are; what they mean is for a judge to say."""

from . import Form, Spec
from .label import folded


def find(text: str, spec: Spec) -> str | None:
    """All of it; blank is an abstention."""
    del spec
    return text.strip() or None


def key(span: str, spec: Spec) -> str | None:
    """Its words."""
    del spec
    return folded(span)


form = Form(find, key, closed=False)
