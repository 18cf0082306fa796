"""Never twice: replays finished answers, joins running twins, and keeps every answer before anybody sees it.

Implements `Recall` over the store's archive and claims. `beneath` is asked next, for what is not a repetition but the
same question (caches). Rules: contract §3, Replay; guide reliability-and-security §4.7.
"""

import hashlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import anyio

from providers.types import Answer

from .conversations import packed_turn
from .errors import InvalidRequest
from .events import CacheLooked, Observer, StoreFailed, unobserved
from .ports import Flight, NoRecall, Recall
from .shelter import Lead, SingleFlight
from .store.archive import Archive, Claims, Record
from .store.codec import Packed, unpack
from .store.faults import StoreFault
from .types import Ask, Cached, Receipt, Result

UNDELIVERED_S = 600.0  # contract §3: an answer that reached nobody is replayed for ten minutes
POLL_S = 0.05, 0.5  # between looks at a twin in another process: at first, at most


@dataclass(frozen=True, slots=True)
class Found:
    """A flight that has landed already."""

    found: Result | None
    ask: Ask

    async def keep(self, result: Result) -> None:
        """It is kept."""
        del result


class Replay:
    """Remembers by `request_id` for a day, by the same arguments while they run and until they were delivered."""

    def __init__(
        self,
        archive: Archive,
        claims: Claims,
        *,
        beneath: Recall | None = None,
        texts: bool = True,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        observer: Observer = unobserved,
    ) -> None:
        self.archive = archive
        self.texts = texts
        self.clock = clock
        self.observer = observer
        self._claims = claims
        self._sleep = sleep
        self._beneath = beneath or NoRecall()
        self._twins = SingleFlight()

    @asynccontextmanager
    async def flight(self, ask: Ask) -> AsyncGenerator[Flight]:
        """Join, replay, or lead. Raises InvalidRequest, and the refusal a joined twin ended with."""
        if ask.part_of is not None and ask.request_id is None:  # two samples of one panel are asked to differ
            async with self._beneath.flight(ask) as below:
                yield Kept(self, ask, "", below)
            return
        key = ask.key or digest(ask)
        name = ask.caller, f"r:{ask.request_id}" if ask.request_id else f"k:{key}"
        while (running := self._twins.running(name)) is not None:
            if (joined := await _join(running, key)) is not None:
                self._tell("joined", joined)
                yield Found(again(joined, "joined"), ask)
                return
        with self._twins.lead(name, key) as lead:
            if (known := await self._known(ask, key)) is not None:
                lead.result = known
                yield Found(known, ask)
                self.archive.deliver(known.receipt.id, reached=True)
                return
            flight = Kept(self, ask, key, Found(None, ask), lead)
            try:
                async with self._beneath.flight(ask) as flight.below:
                    lead.result = flight.found
                    yield flight
            finally:
                if ask.request_id is not None and not flight.id:
                    self._released(ask.caller, ask.request_id, flight.found)
            if flight.id:  # not reached when cancelled: then nobody has seen the answer
                self.archive.deliver(flight.id, reached=True)

    def _released(self, caller: str, request_id: str, cached: Result | None) -> None:
        """Nothing was kept under a request_id: it leads to the answer a cache gave, or is free again."""
        if cached is not None:
            self._claims.lead(caller, request_id, cached.receipt.id)
        else:
            self._claims.drop(caller, request_id)

    async def _known(self, ask: Ask, key: str) -> Result | None:
        """What this very ask came to before, if that can be given again."""
        if ask.request_id is not None:
            return await self._claimed(ask, key)
        try:
            record = await self.archive.undelivered(ask.caller, key, self.clock() - UNDELIVERED_S)
        except StoreFault as fault:  # nobody can tell: whoever may pay for it is asked next
            self.observer(StoreFailed(fault.state, str(fault)))
            return None
        return self._revived(record, "replayed")

    async def _claimed(self, ask: Ask, key: str) -> Result | None:
        pause, longest = POLL_S
        waited: Cached = "replayed"
        while True:
            record = Record("", ask.caller, self.clock(), key, b"", request_id=ask.request_id)
            claimed = await self._claims.claim(record).wait()
            match claimed.standing:
                case "mine":
                    return None
                case "other":
                    raise _other_arguments()
                case "done":
                    found = await self.archive.read(claimed.receipt or "", ask.caller)
                    return self._revived(found, waited)
                case "running":
                    waited = "joined"
                    await self._sleep(pause)
                    pause = min(pause * 2, longest)

    def _revived(self, record: Record | None, how: Cached) -> Result | None:
        if record is None or record.answer is None:
            return None
        answer, receipt = unpack(record.answer, Answer), unpack(record.body, Receipt)
        if answer is None or receipt is None:
            return None
        result = Result(answer, receipt)
        self._tell(how, result)
        return again(result, how)

    def _tell(self, how: Cached, result: Result) -> None:
        if how in ("joined", "replayed"):
            self.observer(CacheLooked(how, result.receipt.cost_usd or 0.0))


class Kept:
    """A flight that leads: what it keeps is durable, then shared with its twins and with what lies beneath."""

    def __init__(self, recall: Replay, ask: Ask, key: str, below: Flight, lead: Lead | None = None) -> None:
        self.id = ""
        self.below = below
        self._recall = recall
        self._ask = ask
        self._key = key
        self._lead = lead

    @property
    def found(self) -> Result | None:
        """What lies beneath found."""
        return self.below.found

    @property
    def ask(self) -> Ask:
        """What lies beneath made of it."""
        return self.below.ask

    async def keep(self, result: Result) -> None:
        """Store the answer and its receipt. An answer that was paid for is given even if the store fails: it is told."""
        packed = Packed(result.answer, result.receipt) if self._recall.texts else Packed(result.receipt)
        record = self._record(result, packed)
        try:
            await self._recall.archive.keep(record).wait()
        except StoreFault as fault:
            self._recall.observer(StoreFailed(fault.state, str(fault)))
        self.id = record.id
        if self._lead is not None:
            self._lead.result = result
        await self.below.keep(Result(result.answer, result.receipt, packed.of))

    def _record(self, result: Result, packed: Packed) -> Record:
        ask, texts = self._ask, self._recall.texts
        return Record(
            result.receipt.id,
            ask.caller,
            self._recall.clock(),
            self._key,
            packed.of(result.receipt),
            packed.of(result.answer) if texts else None,
            packed_turn(ask) if texts else None,
            ask.request_id,
            ask.conversation,
        )


def digest(ask: Ask) -> str:
    """A key over everything of an ask that can change its answer."""
    sets = sorted(ask.require), sorted(ask.exclude_families)  # of equal sets each process has its own order
    told = replace(
        ask,
        request_id=None,
        id="",
        key="",
        deadline_s=None,
        caller="",
        part_of=None,
        warnings=(),
        require=frozenset(),
        exclude_families=frozenset(),
    )
    return hashlib.sha256(repr((told, sets)).encode(errors="replace")).hexdigest()


async def _join(running: Lead, key: str) -> Result | None:
    """The outcome of a running twin; None when it was cancelled and somebody else should lead. Raises its refusal."""
    if running.key != key:
        raise _other_arguments()
    return await running.outcome()


def again(result: Result, how: Cached) -> Result:
    """A result given once more: it costs nothing."""
    return replace(result, receipt=replace(result.receipt, cached=how, cost_usd=0.0))


def _other_arguments() -> InvalidRequest:
    return InvalidRequest(
        "this request_id was used with other arguments within the last 24 hours",
        hint="use a new request_id for a new question, or repeat the same arguments to get the same answer",
    )
