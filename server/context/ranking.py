"""Which texts speak of what is asked: BM25 over words, merged with nearness of meaning where it is known. Pure.

k1 and b as in Robertson & Zaragoza 2009, "The Probabilistic Relevance Framework"; the merging is reciprocal rank fusion
with Cormack, Clarke & Büttcher's k (SIGIR 2009), since the two numbers have no common measure.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from .documents import words

K1, B = 1.2, 0.75
RANK = 60
# A passage is about a question from this cosine on. all-MiniLM-L6-v2 on our own pairs (2026-11-21): 9 of 12 that belong
# together reach it, none of 184 that do not (highest .33). Models with a high floor let more through: the budget bounds it.
ALIKE = 0.35
TERMS = 256  # words of a prompt that are looked for
LOOKED_AT = 20_000  # characters of a prompt
_COMMON = frozenset(
    re.findall(
        r"\w+",
        """a about after all also am an and any are as at be because been but by can could did do does for from get give
        had has have he her here him his how i if in into is it its just know let like make may me more most my need no
        not now of off on one only or other our out over own please say she should show so some tell than that the
        their them then there these they this those to too under up us use very want was we were what when where which
        while who why will with would write you your yes""",
    )
)


def terms(prompt: str) -> Sequence[str]:
    """The words of a prompt worth looking for, each once."""
    found = (word for word in words(prompt[:LOOKED_AT]) if word not in _COMMON and len(word) > 1)
    return tuple(dict.fromkeys(found))[:TERMS]


def relevant(wanted: Sequence[str], counted: Mapping[str, int]) -> bool:
    """Whether a text is about it at all: two of the words, or all where there are fewer."""
    hits = sum(word in counted for word in wanted)
    return hits >= min(2, len(wanted)) > 0


def scores(wanted: Sequence[str], texts: Iterable[Counter[str]]) -> Sequence[float]:
    """A number for each text, higher for those nearer to what is wanted."""
    counted = list(texts)
    lengths = [text.total() for text in counted]
    usual = sum(lengths) / len(lengths) if lengths else 1.0
    weights = {word: _weight(sum(word in text for text in counted), len(counted)) for word in wanted}
    return [
        sum(weight * _often(text[word], length / (usual or 1.0)) for word, weight in weights.items() if word in text)
        for text, length in zip(counted, lengths, strict=True)
    ]


def merged(lexical: Sequence[float], near: Sequence[float]) -> Sequence[float]:
    """One number for each text from two rankings; the first alone where the second is not known (empty)."""
    if not near:
        return lexical
    places = [_places(lexical), _places(near)]
    return [sum(1 / (RANK + each[at]) for each in places) for at in range(len(lexical))]


def _places(scores: Sequence[float]) -> Sequence[int]:
    """The rank of each score, equals sharing one."""
    order = sorted(set(scores), reverse=True)
    rank = {score: place for place, score in enumerate(order)}
    return [rank[score] for score in scores]


def _weight(holders: int, everybody: int) -> float:
    return math.log(1 + (everybody - holders + 0.5) / (holders + 0.5))


def _often(times: int, relative_length: float) -> float:
    return times * (K1 + 1) / (times + K1 * (1 - B + B * relative_length))
