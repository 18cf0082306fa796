"""Which of the listed options a text means when it names no letter: by the option's words, its value, its last sentence.

Each step is narrow on purpose: on recorded answers what it finds is right more often than its model is on average.
"""

import re
import unicodedata

_ANSWER_TEXT = re.compile(r"answer\s++is\s*+:?\s*+(.{1,200})", re.IGNORECASE | re.DOTALL)
_ANSWER_LINE = re.compile(r"answer\s++is\s*+:?\s*+([^\n]{1,80})", re.IGNORECASE)
_NOISE = re.compile(r"[^\w%./+-]+")
_MARKUP = re.compile(r"\\(?:text|mathrm|boxed)|[*$]")
_VALUE = re.compile(r"[\s({\[]*+(-?\d[\d,]*(?:\.\d+)?)(?:\s*/\s*(\d+))?")
_NUMBERS = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_LETTERED = re.compile(r"(?:\bis|\bare|\bwas|\bbe|:|\bto|option|choice)\s*+\**+\s*+\(?([A-Z])[.):]\**+\s++([^\n]{3,})")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z(*\\$])|\n+")
_FINISHED = re.compile(r"[.!)$*}\]]\s*+$")
_NO_OPTION = re.compile(  # "the answer is not listed": an abstention, whatever options are mentioned around it
    r"\bnot (?:explicitly )?(?:listed|in the|among|one of|an option|provided|present|match|correct|given)|none of"
    r"|insufficient|not enough|(?:error|mistake|discrepancy|misunderstanding) (?:in|between)|incorrect|further|flawed",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"\bnot\b|n't\b|incorrect|false|none of|except|cannot|discrepan|error", re.IGNORECASE)
_TAIL = 500
_TOLERANCE = 0.002  # relative: options are rounded


def normal(text: str) -> str:
    """`text` for comparison of words: NFKC, lower case, punctuation between words is one space."""
    return _NOISE.sub(" ", unicodedata.normalize("NFKC", text).lower()).strip()


def quoted(text: str, choices: tuple[str, ...]) -> int | None:
    """The option whose words stand after the first `answer is` (else in the last 400 characters), if one is longest."""
    match = _ANSWER_TEXT.search(text)
    span = f" {normal(match[1] if match else text[-400:])} "
    hits = sorted(
        ((len(words), at) for at, choice in enumerate(choices) if (words := normal(choice)) and f" {words} " in span),
        reverse=True,
    )
    return hits[0][1] if hits and (len(hits) == 1 or hits[0][0] > hits[1][0]) else None


def concluded(text: str, choices: tuple[str, ...]) -> int | None:
    """The option equal to the value after the last `answer is`, else the one the text ends on."""
    found = _valued(text, choices)
    if found is None and choices and not _NO_OPTION.search(text[-400:]):
        found = _relettered(text[-_TAIL:], choices)
        return _last_sentence(text[-_TAIL:], choices) if found is None else found
    return found


def _valued(text: str, choices: tuple[str, ...]) -> int | None:
    lines = _ANSWER_LINE.findall(text)
    match = _VALUE.match(_MARKUP.sub("", lines[-1])) if lines else None
    if match is None:
        return None
    value = _float(match[1]) / (_float(match[2]) or 1.0 if match[2] else 1.0)
    hits = [
        at
        for at, choice in enumerate(choices)
        if len(numbers := _NUMBERS.findall(choice)) == 1 and _close(_float(numbers[0]), value)
    ]
    return hits[0] if len(hits) == 1 else None


def _float(digits: str) -> float:
    return float(digits.replace(",", "")[:300])


def _close(one: float, other: float) -> bool:
    return abs(one - other) <= _TOLERANCE * max(abs(one), abs(other))


def _relettered(text: str, choices: tuple[str, ...]) -> int | None:
    """The option repeated with its letter, as in `is J. Atlanto-axial instability`; two different ones are none."""
    hits: set[int] = set()
    for letter, words in _LETTERED.findall(text):
        at = ord(letter) - 65
        start = normal(choices[at])[:20] if at < len(choices) else ""
        if start and normal(words).startswith(start):
            hits.add(at)
    return hits.pop() if len(hits) == 1 else None


def _last_sentence(text: str, choices: tuple[str, ...]) -> int | None:
    """The option that ends the last sentence which ends on an option and denies nothing."""
    if not _FINISHED.search(text[-40:]):
        return None
    options = [normal(choice).rstrip(".").strip() for choice in choices]
    for sentence in reversed(_SENTENCE.split(text.strip())):
        if _NEGATED.search(sentence):
            continue
        words = " " + normal(_MARKUP.sub("", sentence)).rstrip(".").strip()
        if hits := [
            (len(option), at) for at, option in enumerate(options) if len(option) > 2 and words.endswith(f" {option}")
        ]:
            return max(hits)[1]
    return None
