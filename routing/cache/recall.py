"""The response cache as the manager meets it: look, else share the flight of a twin, else lead and keep what is found.

Beneath replay and context (`Prepared([...], beneath=ResponseCache(...))`), so the key holds what they added.
"""

import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace

from ..events import CacheLooked, Observer, unobserved
from ..ports import Directory, Flight
from ..recall import Found
from ..shelter import Lead, SingleFlight
from ..types import Ask, Cached, Resolution, Result
from .exact import CacheSettings, Exact, packed, unpacked
from .flight import Formation, Wing
from .key import Key, cacheable, key_of, served_by_itself, worth_keeping
from .semantic import Semantic, Vector

PANELS = 1024  # fuses whose samples are told apart at the same time


@dataclass(frozen=True, slots=True)
class Question:
    """An ask with what it is kept under and who may have answered it."""

    ask: Ask
    key: Key
    resolution: Resolution
    vector: Vector | None = None


class ResponseCache:
    """A `Recall`. Off until `adopt` has told it who answers to which name now."""

    def __init__(
        self,
        exact: Exact,
        *,
        formation: Formation | None = None,
        clock: Callable[[], float] = time.time,
        observer: Observer = unobserved,
    ) -> None:
        self.exact = exact
        self._formation = formation
        self._clock = clock
        self._observer = observer
        self._singles = SingleFlight()
        self._samples: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._directory: Directory | None = None
        self._semantic: Semantic | None = None
        self._settings = CacheSettings()

    def adopt(self, settings: CacheSettings, directory: Directory, semantic: Semantic | None = None) -> None:
        """Go by this configuration from now on; with `semantic`, answers to what means the same count too."""
        self._settings, self._directory, self._semantic = settings, directory, semantic
        self.exact.adopt(settings)

    @asynccontextmanager
    async def flight(self, ask: Ask) -> AsyncGenerator[Flight]:
        """Find, join, or lead. Raises the refusal a joined twin ended with, and NoModel."""
        question = self._question(ask)
        if question is None:
            yield Found(None, ask)
            return
        if (known := await self._known_or_shared(question)) is None and self._semantic is not None:
            vector = await self._semantic.vector(question.key, ask.caller)
            question = replace(question, vector=vector)
            known = await self._alike(question, self._semantic) or await self._known_or_shared(question)
        if known is not None:
            yield Found(known, ask)
            return
        with self._singles.lead(_name(question)) as lead:
            wing = await self._formation.lead_or_value(question.key.exact) if self._formation else None
            if isinstance(wing, bytes) and (found := self._flown(wing, question)) is not None:
                lead.result = found
                yield Found(self._given(found, "joined", ask), ask)
                return
            self._observer(CacheLooked("miss"))
            async with _held(wing, lead) if isinstance(wing, Wing) else nullcontext():
                yield Leading(self, question, lead)

    async def keep(self, question: Question, result: Result) -> None:
        """Keep what is complete and came from whom the name stands for."""
        if worth_keeping(result) and served_by_itself(result, question.resolution):
            await self.exact.keep(question.key.exact, result)
            if self._semantic is not None and question.vector is not None:
                await self._semantic.keep(question.key, question.vector, durable=self._settings.texts)

    def _question(self, ask: Ask) -> Question | None:
        if self._directory is None or not self._settings.enabled or not cacheable(ask):
            return None
        resolution = self._directory.resolve(ask)
        key = key_of(ask, resolution)
        if key is not None and ask.part_of is not None and ask.request_id is None and (n := self._sample(ask, key)):
            key = key_of(ask, resolution, n)
        return Question(ask, key, resolution) if key is not None else None

    def _sample(self, ask: Ask, key: Key) -> int:
        """The how manieth of its panel this question is: two samples are asked to differ."""
        name = ask.part_of or "", key.exact
        number = self._samples[name] = self._samples.get(name, -1) + 1
        self._samples.move_to_end(name)
        if len(self._samples) > PANELS:
            self._samples.popitem(last=False)
        return number

    async def _known_or_shared(self, question: Question) -> Result | None:
        """What is kept, or what a twin finds; None when it is ours to lead (nothing is awaited after that is known)."""
        name = _name(question)
        while (known := await self._known(question)) is None and (lead := self._singles.running(name)):
            if (shared := await lead.outcome()) is not None:
                return self._given(shared, "joined", question.ask)
        return known

    async def _known(self, question: Question) -> Result | None:
        if question.ask.cache == "refresh":
            return None
        found = await self.exact.look(question.key.exact, question.ask.caller)
        if found is None or not served_by_itself(found, question.resolution):
            return None
        return self._given(found, "exact", question.ask)

    async def _alike(self, question: Question, semantic: Semantic) -> Result | None:
        """The answer to a question that means the same. Samples of a panel are asked to differ, so they get none."""
        ask, key = question.ask, question.key
        if question.vector is None or ask.cache == "refresh" or (ask.part_of is not None and ask.request_id is None):
            return None
        for near in await semantic.near(key, question.vector):
            found = await self.exact.look(near.exact, ask.caller)
            if found is None:
                await semantic.forget(key, near.exact)
            elif served_by_itself(found, question.resolution):
                given = self._given(found, "semantic", ask)
                return replace(given, receipt=replace(given.receipt, similarity=near.similarity))
        return None

    def _flown(self, value: bytes, question: Question) -> Result | None:
        found = unpacked(value)
        return found if found is not None and found.receipt.caller == question.ask.caller else None

    def _given(self, result: Result, how: Cached, ask: Ask) -> Result:
        """The answer once more: nobody was asked, nothing was paid. Its id leads to the receipt of the one who was."""
        receipt = result.receipt
        kind = how if how in ("joined", "semantic") else "exact"
        self._observer(CacheLooked(kind, receipt.cost_usd or 0.0))
        again = replace(
            receipt,
            conversation=ask.conversation or receipt.id,
            cached=how,
            cost_usd=0.0,
            cost_basis="priced",
            latency_s=0.0,
            ttft_s=None,
            attempts=(),
            fallbacks=(),
            excluded=(),
            excluded_count=0,
            carbon_g=None,
            context=ask.context,
            warnings=tuple(dict.fromkeys((*ask.warnings, *receipt.warnings))),
            task=ask.task or "",
            at=self._clock(),
        )
        return replace(result, receipt=again)


class Leading:
    """The flight of one who works."""

    found: Result | None = None

    def __init__(self, cache: ResponseCache, question: Question, lead: Lead) -> None:
        self.ask = question.ask
        self._cache = cache
        self._question = question
        self._lead = lead

    async def keep(self, result: Result) -> None:
        """Share it with those who wait, keep it for those who come."""
        if given := self.ask.warnings:  # about this question: the next one may be put otherwise
            lasting = tuple(warning for warning in result.receipt.warnings if warning not in given)
            result = replace(result, receipt=replace(result.receipt, warnings=lasting))
        self._lead.result = result
        await self._cache.keep(self._question, result)


@asynccontextmanager
async def _held(wing: Wing, lead: Lead) -> AsyncGenerator[None]:
    """Lead the fleet too, and give it what was found."""
    try:
        async with wing.held():
            yield
    finally:
        await wing.land(packed(lead.result) if lead.result is not None else None)


def _name(question: Question) -> tuple[object, ...]:
    """Who may share a flight: the same question in the same envelope (a refusal is shared too)."""
    ask = question.ask
    envelope = ask.max_cost_usd, ask.max_latency_s, ask.deadline_s, ask.allow_truncated
    return question.key.exact, ask.cache == "refresh", *envelope
