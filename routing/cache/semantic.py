"""Answers to questions that mean the same. Off unless asked for: near is not equal, so what is near is vetoed first.

Compared are only asks alike in everything but the words of their last turn (`Key.scope`: caller, model, system, tools,
parameters, history). Vectors are searched by brute force, with numpy where it is installed.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from providers.errors import ProviderError

from ..errors import Refusal
from ..store.cache import Meaning, Meanings
from ..store.faults import StoreFault
from .key import Key
from .veto import veto

MOST = 50_000  # entries compared; guide providers §16
PATIENCE_S = 5.0  # an embedder slower than this is no help
GATHER_S = 0.002  # texts that come within this go out as one call
AT_ONCE = 64
Embed = Callable[[Sequence[str], str], Awaitable[Sequence[Sequence[float]]]]  # texts, and who pays for them
Vector = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Near:
    """A question that means the same: its key, and the cosine of the two."""

    exact: str
    similarity: float


@dataclass(slots=True)
class _Wanted:
    text: str
    caller: str
    vector: Vector | None = None
    ready: anyio.Event = field(default_factory=anyio.Event)


class Together:
    """Gathers what a caller wants embedded at about the same time into one call. A failure is no vector, never an error:
    an embedder that fails, or that no budget can pay.
    """

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._wanted: list[_Wanted] = []

    async def vector(self, text: str, caller: str) -> Vector | None:
        """The text's vector, of length 1."""
        wanted = _Wanted(text, caller)
        self._wanted.append(wanted)
        if len(self._wanted) > 1:
            await wanted.ready.wait()
            return wanted.vector
        try:
            await anyio.sleep(GATHER_S)
        finally:
            batch, self._wanted = self._wanted, []
            with anyio.CancelScope(shield=True):  # whoever gathered may be cancelled, the others still wait
                for payer in dict.fromkeys(one.caller for one in batch):
                    own = [one for one in batch if one.caller == payer]
                    for start in range(0, len(own), AT_ONCE):
                        await self._fill(own[start : start + AT_ONCE])
        return wanted.vector

    async def _fill(self, batch: list[_Wanted]) -> None:
        try:
            with anyio.move_on_after(PATIENCE_S):
                found = await self._embed([wanted.text for wanted in batch], batch[0].caller)
                for wanted, vector in zip(batch, found, strict=False):
                    wanted.vector = _unit(vector)
        except (ProviderError, Refusal):
            return  # no vector: the question is asked as any other
        finally:
            for wanted in batch:
                wanted.ready.set()


class Semantic:
    """Meanings by scope. `name` is the embedder's: vectors of another are not compared."""

    def __init__(self, name: str, embed: Embed, store: Meanings | None = None, *, threshold: float = 0.95) -> None:
        self.name = name
        self.threshold = threshold
        self._together = Together(embed)
        self._store = store
        self._scopes: OrderedDict[str, dict[str, tuple[str, Vector]]] = OrderedDict()
        self._count = 0

    async def vector(self, key: Key, caller: str) -> Vector | None:
        """Where the words of this question lie; None where there are none, or nobody can say for what there is to pay."""
        return await self._together.vector(key.words, caller) if key.words.strip() else None

    async def near(self, key: Key, vector: Vector) -> list[Near]:
        """Questions that mean the same and against which nothing speaks, nearest first."""
        known = [
            (name, words, v) for name, (words, v) in (await self._known(key.scope)).items() if len(v) == len(vector)
        ]
        scores = _cosines([v for *_, v in known], vector)
        order = sorted((i for i, score in enumerate(scores) if score >= self.threshold), key=lambda i: -scores[i])
        return [Near(known[i][0], round(scores[i], 4)) for i in order if veto(known[i][1], key.words) is None]

    async def keep(self, key: Key, vector: Vector, *, durable: bool) -> None:
        """Remember where this question lies."""
        known = await self._known(key.scope)
        self._count += key.exact not in known
        known[key.exact] = key.words, vector
        while self._count > MOST:
            self._count -= len(self._scopes.popitem(last=False)[1])
        if durable and self._store is not None:
            self._store.place(Meaning(key.exact, key.scope, self.name, key.words, vector))

    async def forget(self, key: Key, exact: str) -> None:
        """The answer behind it is gone."""
        self._count -= (await self._known(key.scope)).pop(exact, None) is not None

    async def _known(self, scope: str) -> dict[str, tuple[str, Vector]]:
        known = self._scopes.get(scope)
        if known is None:
            stored = {found.key: (found.words, found.vector) for found in await self._stored(scope)}
            known = self._scopes.setdefault(scope, {})  # meanwhile a twin may have learnt it
            before = len(known)
            known.update({key: found for key, found in stored.items() if key not in known})
            self._count += len(known) - before
        self._scopes.move_to_end(scope)
        return known

    async def _stored(self, scope: str) -> Sequence[Meaning]:
        try:
            return await self._store.meanings(scope, self.name, MOST) if self._store is not None else ()
        except StoreFault:
            return ()


def _unit(vector: Sequence[float]) -> Vector | None:
    length = sum(x * x for x in vector) ** 0.5
    return tuple(x / length for x in vector) if 0 < length < float("inf") else None


def _cosines(vectors: list[Vector], vector: Vector) -> list[float]:
    """Of vectors of length 1."""
    if len(vectors) > 64:
        try:
            import numpy as np
        except ImportError:
            pass
        else:
            rows: Any = np.asarray(vectors, dtype=np.float32)
            return [float(score) for score in rows @ np.asarray(vector, dtype=np.float32)]
    return [sum(map(float.__mul__, other, vector)) for other in vectors]
