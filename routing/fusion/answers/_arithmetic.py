"""The value of a small arithmetic expression, by walking its syntax tree: no names but pi, no calls but sqrt.

The guards come before the parser: a model's text is never evaluated, and no huge power is ever computed.
"""

import ast
import math
import operator
import re
from collections.abc import Callable

MAX_CHARS = 120
_ALLOWED = re.compile(
    r"(?:[\d.](?![sp])|[+\-*/()]|sqrt|pi)+"
)  # an underscore would let the base-3 numeral 221_3 pass as 2213
_HUGE_POWER = re.compile(r"\*\*\(?\d{3,}")
_MAX_BITS = 4096  # of a power: beyond it no answer to a question is meant
_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda above, below: above / below,
}


def evaluate(text: str) -> float | None:
    """The finite real value of `text`, or None where it has none or is not plain arithmetic."""
    if len(text) > MAX_CHARS or not _ALLOWED.fullmatch(text) or _HUGE_POWER.search(text):
        return None
    try:
        value = _walk(ast.parse(text, mode="eval").body)
        return value if math.isfinite(value) else None
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError):
        return None


def _walk(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.Name(id="pi"):
            return math.pi
        case ast.UnaryOp(op=ast.UAdd() | ast.USub() as sign, operand=inner):
            return _walk(inner) if isinstance(sign, ast.UAdd) else -_walk(inner)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_walk(left), _walk(right))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](_walk(left), _walk(right))
        case ast.Call(func=ast.Name(id="sqrt"), args=[inner], keywords=[]):
            return math.sqrt(_walk(inner))
        case _:
            raise ValueError


def _power(base: float, exponent: float) -> float:
    if abs(exponent) * math.log2(abs(base) + 2) > _MAX_BITS:
        raise OverflowError
    value = base**exponent
    if isinstance(value, complex):
        raise ValueError  # noqa: TRY004 - a complex root is a wrong value, not a wrong type, to our caller
    return value
