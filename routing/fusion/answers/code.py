"""Code: the last fenced block, else the text. Equal programs are one; programs are never run, nor counted as votes."""

import ast
import re
import warnings

from . import Form, Spec
from ._spans import last

_FENCED = re.compile(r"```[\w+-]*[^\S\n]*\n(.*?)(?:```|\Z)", re.DOTALL)
_MAX_PARSED = 50_000


def find(text: str, spec: Spec) -> str | None:
    """The last fenced block, else all of it."""
    del spec
    fenced = last(_FENCED, text)
    return (fenced[1] if fenced else text).strip() or None


def key(span: str, spec: Spec) -> str | None:
    """The syntax tree where it is Python (comments and layout do not count), else the text without trailing blanks."""
    del spec
    if len(span) <= _MAX_PARSED:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.dump(ast.parse(span))
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            pass  # another language: compared as text
    return "\n".join(line.rstrip() for line in span.splitlines() if line.strip())


form = Form(find, key, closed=False)
