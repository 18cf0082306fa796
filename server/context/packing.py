"""What goes into the budget: the best texts whole while they fit, then the best passages of the next. Pure.

The order in the prompt is by origin, not by score: the same material gives the same bytes for whatever is asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from . import ranking
from .documents import Document, Passage

FRAME = 48  # tokens of a fence and its label
LEAST = 64  # tokens: less than that of a text says nothing
GAP = "\n[…]\n"


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A document, or the passages of it that fit. `tokens` include the fence."""

    document: Document
    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens in all and of each server."""

    total: int
    server: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for: words, and how near in meaning each passage is where somebody could say (cosine by text)."""

    words: Sequence[str]
    likeness: Mapping[str, float] = field(default_factory=dict[str, float])

    def nearness(self, document: Document) -> float:
        """How near the nearest passage is."""
        return max((self.likeness.get(passage.text, 0.0) for passage in document.passages), default=0.0)


def pack(wanted: Sought, documents: Sequence[Document], named: frozenset[str], budget: Budget) -> list[Excerpt]:
    """The excerpts for this. Servers in `named` were asked for: theirs need not be relevant to be taken."""
    ranked = _ranked(wanted, _distinct(documents), named)
    left, room = budget.total, dict(budget.server)
    taken: list[Excerpt] = []
    for document in ranked:
        excerpt = _excerpt(document, wanted, min(left, room.get(document.server, 0)))
        if excerpt is not None:
            taken.append(excerpt)
            left -= excerpt.tokens
            room[document.server] -= excerpt.tokens
    places = {document.label: place for place, document in enumerate(documents)}
    servers = {name: place for place, name in enumerate(budget.server)}
    return sorted(taken, key=lambda e: (servers[e.document.server], places[e.document.label], e.text))


def _distinct(documents: Sequence[Document]) -> Sequence[Document]:
    seen: dict[str, Document] = {}
    for document in documents:
        if document.text:
            seen.setdefault(document.essence, document)
    return list(seen.values())


def _ranked(wanted: Sought, documents: Sequence[Document], named: frozenset[str]) -> Sequence[Document]:
    lexical = ranking.scores(wanted.words, (document.words for document in documents))
    near = [wanted.nearness(document) for document in documents] if wanted.likeness else []
    scored = zip(documents, ranking.merged(lexical, near), near or [0.0] * len(documents), strict=True)
    kept = [
        (document, score)
        for document, score, alike in scored
        if document.asked
        or document.server in named
        or alike >= ranking.ALIKE
        or ranking.relevant(wanted.words, document.words)
    ]
    kept.sort(key=lambda pair: (not pair[0].asked, -pair[1]))  # stable: equals stay in the order of their servers
    return [document for document, _ in kept]


def _excerpt(document: Document, wanted: Sought, room: int) -> Excerpt | None:
    if document.tokens + FRAME <= room:
        return Excerpt(document, document.text, document.tokens + FRAME)
    room -= FRAME
    if room < LEAST:
        return None
    chosen = _chosen(document.passages, wanted, room)
    if not chosen:
        return None
    text = GAP.join(passage.text for passage in sorted(chosen, key=lambda passage: passage.at))
    return Excerpt(document, text, FRAME + sum(passage.tokens + 4 for passage in chosen))


def _chosen(passages: Sequence[Passage], wanted: Sought, room: int) -> Sequence[Passage]:
    lexical = ranking.scores(wanted.words, (passage.words for passage in passages))
    near = [wanted.likeness.get(passage.text, 0.0) for passage in passages] if wanted.likeness else []
    scored = zip(passages, ranking.merged(lexical, near), strict=True)
    chosen: list[Passage] = []
    for passage, _ in sorted(scored, key=lambda pair: (-pair[1], pair[0].at)):
        if passage.tokens + 4 <= room:
            chosen.append(passage)
            room -= passage.tokens + 4
    return chosen
