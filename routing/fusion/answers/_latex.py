r"""LaTeX made plain: `\frac{1}{2}` becomes `((1)/(2))`, decoration goes. Order of the rules as in the guide's §4."""

import re

from ._spans import boxed

# JSON read non-strictly turns \f \b \t \r \n of a LaTeX command into control characters: put the backslash back
_MANGLED = (
    ("\x0crac", "\\frac"),
    ("\x08oxed", "\\boxed"),
    ("\text", "\\text"),
    ("\times", "\\times"),
    ("\right", "\\right"),
    ("\neq", "\\neq"),
)
_SPACING = re.compile(r"\\(?:left|right|displaystyle|quad|qquad|big|Big)\b|\\[,;!: ]")
_WRAPPED = re.compile(r"\\(?:text|mathrm|mbox|textbf|mathbf|operatorname)\s*\{([^{}]*)\}")
_PLAIN = (
    ("\\dfrac", "\\frac"),
    ("\\tfrac", "\\frac"),
    ("\\cdot", "*"),
    ("\\times", "*"),
    ("\\pi", "pi"),
    ("π", "pi"),
    ("\\%", ""),
    ("%", ""),
    ("\\$", ""),
    ("^\\circ", ""),
    ("^{\\circ}", ""),
    ("°", ""),
    ("\\circ", ""),
    ("−", "-"),
    ("–", "-"),
    ("×", "*"),
    ("√", "\\sqrt"),
    ("\\infty", "inf"),
    ("∞", "inf"),
    ("\\cup", "U"),
    ("∪", "U"),
    ("\\in", "in"),
)
_ROOT = re.compile(r"\\?sqrt\s*(?:\[[^\]]*\])?")
_DIGITS = re.compile(r"\d+")
_MAX_NESTING = 6


def plain(text: str) -> str:
    """`text` without LaTeX: operators, parentheses and words only; square roots are written `sqrt(…)`."""
    if "\\" in text or any(mangled in text for mangled, _ in _MANGLED):
        text = _mend(text)  # before blanks go: a form feed is one
    text = text.strip().strip("$").strip()
    text = _WRAPPED.sub(r"\1", _SPACING.sub("", text))
    for written, meant in _PLAIN:
        text = text.replace(written, meant)
    text = _fractions(text)
    if "sqrt" in text:
        text = _roots(text)
    return text.replace("{", "(").replace("}", ")").replace("\\", "")


def _mend(text: str) -> str:
    text = text.replace("\\\\", "\\")
    for mangled, meant in _MANGLED:
        text = text.replace(mangled, meant)
    inner = boxed(text)
    return text if inner is None else inner


def _fractions(text: str) -> str:
    for _ in range(_MAX_NESTING):
        at = text.find("\\frac")
        if at < 0:
            break
        above, end = _argument(text, at + 5)
        below, end = _argument(text, end)
        text = f"{text[:at]}(({above})/({below})){text[end:]}"
    return text


def _roots(text: str) -> str:
    for _ in range(_MAX_NESTING):
        match = _ROOT.search(text)
        if match is None:
            break
        end = match.end()
        if text[end : end + 1] == "(":
            text = f"{text[: match.start()]}SQ{text[end:]}"
            continue
        digits = _DIGITS.match(text, end)
        inner, end = (digits[0], digits.end()) if digits else _argument(text, end)
        text = f"{text[: match.start()]}SQ({inner}){text[end:]}"
    return text.replace("SQ", "sqrt")


def _argument(text: str, at: int) -> tuple[str, int]:
    """A LaTeX argument: a balanced group, else one character."""
    if text[at : at + 1] == "{":
        depth = 0
        for end in range(at, len(text)):
            depth += (text[end] == "{") - (text[end] == "}")
            if depth == 0:
                return text[at + 1 : end], end + 1
    return text[at : at + 1], at + 1
