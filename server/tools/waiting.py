"""A call and the job that does its work: joined or begun, waited for as long as its host waits, fetched later."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import anyio

from routing.events import Tell
from routing.types import Ask
from server import callers
from server.house import House, admitted
from server.jobs import Job
from server.mcp.exact import Asked, Outcome
from server.progress import reported, wanted

Kind = Literal["fuse", "generate"]
Work = Callable[[Tell], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Shape:
    """How what came of a job is told: done, or still running."""

    done: Callable[[Any], Outcome]
    running: Callable[[Job], Outcome]


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call on its way."""

    house: House
    request: Asked
    shape: Shape
    until: float | None = None  # by the event loop's clock, where questions may use up some of the host's patience

    async def carried(self, app: Any, kind: Kind, ask: Ask, work: Work) -> Outcome:
        """Join the same ask where it runs, else begin it. Raises its refusal."""
        jobs = self.house.jobs
        job = jobs.find(ask.caller, ask.request_id, ask.key) if ask.request_id else jobs.twin(ask.caller, ask.key)
        if job is None:
            begun = partial(_admitted, app, kind, ask, work)
            job = jobs.start(ask.caller, ask.request_id or ask.id, ask.key, begun, partial(_delivered, app))
        return await self.waited(job)

    async def waited(self, job: Job) -> Outcome:
        """What comes of `job` while this host waits."""
        outcome = self.house.jobs.outcome
        patience = callers.patience_s(self.request) if self.until is None else self.until - anyio.current_time()
        if wanted(self.request):
            async with reported(self.request) as tell:
                result = await outcome(job, patience, tell)
        else:
            result = await outcome(job, patience)
        return self.shape.running(job) if result is None else self.shape.done(result)


def _delivered(app: Any, result: Any, reached: bool) -> None:  # noqa: FBT001 - as jobs call it
    """An answer that nobody fetched is replayed to who asks the same again, whichever process is asked (contract §3)."""
    if app.journal is not None:
        app.journal.deliver(result.receipt.id, reached=reached)


async def _admitted(app: Any, kind: Kind, ask: Ask, work: Work, tell: Tell) -> Any:
    async with admitted(app, kind, ask.max_latency_s):
        return await work(tell)
