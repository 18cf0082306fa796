"""Batches by the provider's own batch endpoint: handed in once, collected once, whatever is killed in between.

Each step is noted durably before it is taken. A line's money is reserved before its batch is handed in, and settled
under the line's own id when its outcome is read: by whichever process does that. What nobody can tell – whether a
batch was taken on whose reply never came – is asked of the provider, never guessed. Lines that ask the same are handed
in and paid as one, wherever in the file they stand.
Above: `server/deferring.py` (files). Below: `desk.py` (one line), the provider's `Batches`, the ledger.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol

import anyio

from providers.errors import ConnectFailed, ProviderError, ProxyRefused, TimedOut, Unavailable
from providers.types import Item, Outcome, Progress

from .batch import Count, Done, Line, counted
from .cache.key import cacheable
from .desk import Desk, Planned
from .errors import BudgetExceeded, ProvidersFailed, Refusal
from .ports import Bill, Recall
from .recall import again, digest
from .store.ledger import Closing, Settled
from .store.pending import Pending
from .tray import Job, Log, Tray, Trays
from .types import Ask, Result

DOUBT_S = 60.0  # a request on its way when its sender died has arrived by then, or never will
PAUSE_S = 1.0, 60.0  # between looks at a batch: at first, at most
AT_ONCE = 64  # lines booked together: they share commits
Told = Result | Refusal


class Source(Protocol):
    """The file."""

    def fresh(self) -> Iterator[tuple[Line, int]]:
        """Lines that are neither done nor part of an open job, with where each begins."""
        ...

    def again(self, job: Job) -> Iterator[Line]:
        """The lines of a job once more."""
        ...


class Purse(Protocol):
    """The cost tracker: `book` reserves for whoever collects, `amend` says what came of it."""

    def envelope(self, id: str, usd: float | None) -> AbstractContextManager[None]: ...  # noqa: A002

    async def book(self, bill: Bill) -> None: ...

    def amend(self, ask: str, closing: Closing) -> Pending[Settled]: ...


@dataclass(frozen=True, slots=True)
class Deferred:
    """`id` names the batch over all its runs, which may spend `usd` together. `sleep` waits between looks.

    With `joins` lines that ask the same, and may be given a cached answer, are paid once.
    """

    id: str
    desk: Desk
    recall: Recall
    purse: Purse
    log: Log
    source: Source
    tell: Callable[[Done, Count], None]
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    doubt_s: float = DOUBT_S
    usd: float | None = None
    joins: bool = True
    count: Count = field(default_factory=Count)

    async def run(self, *, wait: bool = True, stop: bool = False) -> Count:
        """Take up what earlier runs left, hand in what is left of the file, and (with `wait`) stay until all is collected.

        With `stop` nothing is handed in and what runs is cancelled. Lines that could not be paid are left for another day.
        """
        for job in self.log.open():
            if job.state != "sent":
                await self._resolve(job)
        if stop:
            await self._cancel()
        else:
            with self.purse.envelope(self.id, self.usd):
                await self._hand_in()
        pause, most = PAUSE_S
        while await self._collect() and wait:
            await self.sleep(pause)
            pause = min(pause * 1.5, most)
        self.count.waiting = sum(len(job.lines) for job in self.log.open())
        return self.count

    async def _resolve(self, job: Job) -> None:
        """Find out whether a batch was taken on; what was not is given back and free to be handed in again."""
        if job.state == "sending":
            try:
                batches = self.desk.batches(job.deployment)
                found = await batches.find(job.name, len(job.items), job.at)
                if found is None and (left := job.at + self.doubt_s - self.desk.wall()) > 0:
                    await self.sleep(min(left, self.doubt_s))
                    found = await batches.find(job.name, len(job.items), job.at)
            except (ProviderError, Refusal) as error:
                self.count.stopped = self.count.stopped or _in_doubt(job, error)
                return
            if found is not None:
                self.log.note(replace(job, state="sent", batch=found, at=self.desk.wall()))
                return
        await self._give_back(job)

    async def _give_back(self, job: Job) -> None:
        nothing = Closing("released", 0, "estimated")
        for pending in [self.purse.amend(job.receipt(number), nothing) for number in job.items]:
            await pending.wait()
        self.log.note(replace(job, state="void"))

    async def _cancel(self) -> None:
        for job in self.log.open():
            if job.state == "sent":
                try:
                    await self.desk.batches(job.deployment).cancel(job.batch)
                except (ProviderError, Refusal) as error:
                    self.count.stopped = self.count.stopped or _unreached(job, error)

    async def _hand_in(self) -> None:
        trays = await self._trays()
        for line, offset in self.source.fresh():
            await anyio.lowlevel.checkpoint()
            if self.count.stopped is not None:
                break
            if trays.joined(line, offset) or (planned := await self._planned(line)) is None:
                continue
            name = planned.hop.deployment.name
            tray = trays.open.get(name) or trays.open.setdefault(name, Tray(self.desk.batches(name)))
            try:
                size = tray.batches.size(Item("", planned.request))
            except ProviderError as error:
                self._tell(Done(line, refusal=ProvidersFailed(error.message, hint="ask this line without a batch")))
                continue
            if tray.full(size):
                await self._submit(trays.open.pop(name))
                trays.sent()
                tray = trays.open.setdefault(name, Tray(tray.batches))
            tray.put(line, planned, offset, size)
            trays.lead(line, tray.name)
        for tray in trays.open.values():
            if self.count.stopped is None and tray.lines:
                await self._submit(tray)
        trays.note()

    async def _trays(self) -> Trays:
        """Empty ones, that know what earlier runs handed in."""
        trays = Trays(self.log, self.joins)
        trays.sent()
        for job in self.log.open() if self.joins else ():
            for line in self.source.again(job):
                await anyio.lowlevel.checkpoint()
                if job.asks(line.number):
                    trays.lead(line, job.name)
        return trays

    async def _planned(self, line: Line) -> Planned | None:
        """Who takes it; None where it is told already: broken, known, refused."""
        if line.ask is None:
            self._tell(Done(line, refusal=line.fault))
            return None
        try:
            async with self.recall.flight(self._ask(line, line.ask)) as flight:
                found, prepared = flight.found, flight.ask
            if found is None:
                return self.desk.plan(prepared)
        except BudgetExceeded as poor:
            self.count.aside(poor)
        except Refusal as refusal:
            self._tell(Done(line, refusal=refusal))
        else:
            self._tell(Done(line, found))
        return None

    async def _submit(self, tray: Tray) -> None:
        """Begun → paid → sending → sent, each on disk first."""
        wall, job = self.desk.wall, tray.begun(self.desk.wall())
        self.log.note(job)
        paid = await self._paid(job, tray.lines)
        job = tray.sending(job, paid, wall())
        self.log.note(job)
        for number in tray.twins:
            if number not in job.twins and self.count.poor is not None:
                self.count.aside(self.count.poor)
        if not paid:
            return
        items = [Item(job.receipt(line.number), planned.request) for line, planned in paid]
        try:
            batch = await tray.batches.submit(job.name, items)
        except ProviderError as error:
            await self._refused(job, error)
        else:
            self.log.note(replace(job, state="sent", batch=batch, at=wall()))
            self.count.handed_in += len(items)

    async def _paid(self, job: Job, lines: Sequence[tuple[Line, Planned, int]]) -> list[tuple[Line, Planned]]:
        """Those whose worst case could be reserved, in order."""
        paid: dict[int, tuple[Line, Planned]] = {}

        async def one(line: Line, planned: Planned) -> None:
            try:
                await self.purse.book(replace(planned.bill, id=job.receipt(line.number)))
                paid[line.number] = line, planned
                self.count.paid()
            except BudgetExceeded as poor:
                self.count.aside(poor)

        for start in range(0, len(lines), AT_ONCE):
            async with anyio.create_task_group() as tasks:
                for line, planned, _ in lines[start : start + AT_ONCE]:
                    tasks.start_soon(one, line, planned)
        return [paid[number] for number in sorted(paid)]

    async def _refused(self, job: Job, error: ProviderError) -> None:
        """The batch was not taken on, or nobody knows."""
        if error.billed not in ("unsent", "no") or isinstance(error, TimedOut | Unavailable):
            await self._resolve(job)
            return
        await self._give_back(job)
        if error.fault == "caller":
            for line in self.source.again(job):
                hint = "ask these lines without --provider-batch to see which of them is at fault"
                self._tell(Done(line, refusal=ProvidersFailed(f"the batch was refused: {error.message}", hint=hint)))
        else:
            self.count.stopped = self.count.stopped or _unreached(job, error)

    async def _collect(self) -> bool:
        """Read every batch that has ended; whether some still run."""
        running = False
        for job in self.log.open():
            if job.state != "sent":
                continue
            try:
                batches = self.desk.batches(job.deployment)
                progress = await batches.look(job.batch)
                if progress.ended:
                    outcomes = {outcome.id: outcome async for outcome in batches.outcomes(job.batch)}
                    await self._read(job, progress, outcomes)
                    continue
                self.count.look(job.name, progress.done + progress.failed)
            except (ProviderError, Refusal) as error:
                if not _passes(error):
                    self.count.stopped = self.count.stopped or _unreached(job, error)
                    continue
            running = True
        return running

    async def _read(self, job: Job, progress: Progress, outcomes: dict[str, Outcome]) -> None:
        shared: dict[int, Told | None] = dict.fromkeys(job.twins.values())
        for lines in _chunks((line for line in self.source.again(job) if line.number not in job.twins), AT_ONCE):
            async with anyio.create_task_group() as tasks:
                for line in lines:
                    id_ = job.receipt(line.number)
                    tasks.start_soon(self._arrived, job, line, outcomes.get(id_) or _missing(id_, progress), shared)
        for line in self.source.again(job) if job.twins else ():
            if line.number in job.twins:
                id_ = job.receipt(line.number)
                await self._arrived(job, line, outcomes.get(id_) or _missing(id_, progress), shared)
        self.log.note(replace(job, state="done"))

    async def _arrived(self, job: Job, line: Line, outcome: Outcome, shared: dict[int, Told | None]) -> None:
        """Tell what came of a line; `shared` is what is told of several. Only the one that was handed in has cost something."""
        item = job.twins.get(line.number, line.number)
        told = shared.get(item) or await self._settled(job, replace(line, number=item), outcome)
        if item in shared:
            shared[item] = told
        if isinstance(told, Result):
            self._tell(Done(line, told if item == line.number else again(told, "joined")))
        else:
            self._tell(Done(line, refusal=told))

    async def _settled(self, job: Job, line: Line, outcome: Outcome) -> Told:
        """Settle and keep – told comes after it, so that whatever is cut off is done again and none of it twice."""
        assert line.ask is not None, "handed in"
        id_, seconds = job.receipt(line.number), max(self.desk.wall() - job.at, 0.0)
        try:
            async with self.recall.flight(self._collected(job, line, line.ask)) as flight:
                planned = self.desk.plan(replace(flight.ask, id=id_), job.deployment)
                closing, told = self.desk.close(planned, outcome, seconds)
                await self.purse.amend(id_, closing).wait()
                if isinstance(told, Result) and flight.found is None:
                    await flight.keep(told)
        except Refusal as refusal:
            return refusal
        return told

    def _ask(self, line: Line, ask: Ask) -> Ask:
        """What may be asked once for many lines is remembered by its question: its answer is any later run's too."""
        key = digest(ask)
        mark = f"={key}" if self.joins and cacheable(ask) else line.number
        return replace(ask, part_of=self.id, request_id=f"{self.id}:{mark}", key=key)

    def _collected(self, job: Job, line: Line, ask: Ask) -> Ask:
        """The ask as it is kept under its own key; a cached answer of another line must not take this one's place."""
        asked = self._ask(line, ask)
        plain = line.number not in job.dressed and ask.cache != "off" and not ask.request.temperature
        return replace(asked, cache="refresh" if plain else "off", sources=("none",), id="")

    def _tell(self, done: Done) -> None:
        counted(self.count, done)
        self.tell(done, self.count)


def _missing(id_: str, progress: Progress) -> Outcome:
    match progress.ended:
        case "expired":
            return Outcome(id_, error=TimedOut("the batch expired before this line was run", billed="no"))
        case "cancelled":
            return Outcome(id_, error=Unavailable("the batch was cancelled before this line was run", billed="no"))
        case _:
            billed = "no" if progress.ended == "failed" else "unknown"
            return Outcome(id_, error=Unavailable("the batch ended without this line", billed=billed))


def _passes(error: ProviderError | Refusal) -> bool:
    """Whether the next look may reach it: the batch is safe where it is. A proxy that bars it does so until it is mended."""
    return isinstance(error, ConnectFailed | Unavailable | TimedOut) and not isinstance(error, ProxyRefused)


def _in_doubt(job: Job, error: ProviderError | Refusal) -> Refusal:
    return ProvidersFailed(
        f"whether {job.deployment} took {len(job.lines)} lines cannot be told now: {error.message}",
        hint="run the same command again in a minute; nothing is handed in twice",
    )


def _unreached(job: Job, error: ProviderError | Refusal) -> Refusal:
    return ProvidersFailed(
        f"{job.deployment} could not be asked about its batch: {error.message}",
        hint="mend what it says and run the same command again: it goes on where it was",
    )


def _chunks(lines: Iterable[Line], size: int) -> Iterator[list[Line]]:
    chunk: list[Line] = []
    for line in lines:
        chunk.append(line)
        if len(chunk) >= size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
