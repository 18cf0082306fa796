"""What texts mean, where somebody can embed: passages near the prompt though they share no word with it. Opt-in, paid, bounded.

Vectors are kept by text, so the same material costs once; only a prompt nobody asked before takes a round trip. Whoever
fails or is slow leaves the ranking to words alone.
"""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from operator import mul
from typing import Any, Protocol

import anyio

from providers.types import Request
from routing.errors import Refusal
from routing.types import Ask, Receipt

from .documents import Document

PATIENCE_S = 2.0  # as for an upstream: context is a help, not a condition
MOST = 192  # new passages embedded for one ask, about 60,000 tokens
KEPT = 8192  # vectors
LONGEST = 2_000  # characters of a prompt that are embedded
FRAGMENT = 24  # hex digits of a text's name
SILENT = "ranked by words alone: the embedder did not answer"

Vector = tuple[float, ...]
Likeness = Mapping[str, float]  # cosine to the prompt by passage text; empty where nobody can say


class Embed(Protocol):
    """The paid road to vectors: `routing.embedding.Embeddings.embed`."""

    async def __call__(self, texts: Sequence[str], ask: Ask, /) -> tuple[Any, Receipt]: ...


class Nearness:
    """Vectors of passages and prompts. `embed` is looked up at every use: configurations change."""

    def __init__(self, embed: Callable[[], Embed | None]) -> None:
        self._embed = embed
        self._vectors: OrderedDict[str, Vector] = OrderedDict()

    async def learn(self, ask: Ask, prompt: str, documents: Sequence[Document], *, private: bool) -> tuple[str, ...]:
        """Make `likeness` able to tell; what should be known if it will not be. `private`: no text may leave here."""
        if self._embed() is None or not prompt.strip() or not documents:
            return ()
        texts = prompt[:LONGEST], *_passages(documents)
        wanted = [text for text in texts if _name(text) not in self._vectors][: MOST + 1]
        if wanted and not await self._learn(wanted, _errand(ask, private=private)):
            return (SILENT,)
        return ()

    def knows(self, prompt: str) -> bool:
        """Whether this prompt can be compared."""
        return self._embed() is not None and _name(prompt[:LONGEST]) in self._vectors

    def likeness(self, prompt: str, documents: Sequence[Document]) -> Likeness:
        """How near every passage is that was learnt; asks nobody."""
        asked = self._vectors.get(_name(prompt[:LONGEST])) if self._embed() is not None else None
        if asked is None:
            return {}
        known = {text: self._vectors.get(_name(text)) for text in _passages(documents)}
        return {text: _cosine(asked, vector) for text, vector in known.items() if vector is not None}

    async def _learn(self, texts: Sequence[str], errand: Ask) -> bool:
        embed = self._embed()
        assert embed is not None, "looked at by who calls"
        with anyio.move_on_after(PATIENCE_S):
            try:
                found, _ = await embed(texts, errand)
            except Refusal:
                return False
            for text, vector in zip(texts, found.vectors, strict=True):
                self._vectors[_name(text)] = _unit(vector)
            while len(self._vectors) > KEPT:
                self._vectors.popitem(last=False)
            return True
        return False


def _passages(documents: Sequence[Document]) -> Sequence[str]:
    return list(dict.fromkeys(passage.text for document in documents for passage in document.passages))


def _errand(ask: Ask, *, private: bool) -> Ask:
    """The ask that buys vectors: of the same caller, in the same envelope, with nothing else of it."""
    tree = ask.part_of or ask.id
    return Ask(
        Request(()),
        caller=ask.caller,
        task=ask.task,
        max_cost_usd=ask.max_cost_usd,
        deadline_s=PATIENCE_S,
        id=f"{ask.id}-c",
        part_of=tree,
        sources=("none",),
        any_region=ask.any_region,
        local_only=ask.local_only or private,
        allowed_models=ask.allowed_models,
    )


def _name(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=FRAGMENT // 2).hexdigest()


def _unit(vector: Sequence[float]) -> Vector:
    length = math.hypot(*vector) or 1.0
    return tuple(value / length for value in vector)


def _cosine(one: Vector, other: Vector) -> float:
    return sum(map(mul, one, other)) if len(one) == len(other) else 0.0
