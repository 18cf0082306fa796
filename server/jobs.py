"""Work that may outlive the call that asked for it: a host's patience ends before a slow model does (contract §3).

A job runs beside the requests; a call waits for it, leaves when its patience ends, and may come back by the handle.
Durable replay is not here: that is `routing`'s recall. This is the one process, and the minutes after a call.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.abc

from routing.errors import Cancelled, InvalidRequest
from routing.events import Progressed, Tell

KEEP_S = 600.0  # a finished job that nobody fetched
KEEP = 256
LOOK_S = 1.0  # between looks for old ones, unless there are many
Deliver = Callable[[Any, bool], None]  # a result, and whether it reached its caller


def _anywhere(result: Any, reached: bool) -> None:  # noqa: FBT001 - the shape of Deliver
    del result, reached


@dataclass(eq=False, slots=True)
class Job:
    """One piece of work. `handle` is what a caller comes back with, `digest` what it asked."""

    handle: str
    digest: str
    deliver: Deliver = _anywhere
    done: bool = False
    result: Any = None
    fault: Exception | None = None
    ended: float = 0.0
    waiting: int = 0
    kept: bool = False  # somebody left with the handle: it runs on without a waiter
    heard: bool = False  # its result was given to somebody
    phase: str = ""
    draft: int = 0
    pieces: list[str] = field(default_factory=list[str])
    listeners: tuple[Tell, ...] = ()
    task: anyio.TaskHandle[None] = field(init=False)

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(self.pieces)

    def tell(self, progress: Progressed) -> None:
        """Note it, and pass it to who waits."""
        if progress.draft > self.draft:
            self.draft, self.pieces = progress.draft, []
        if progress.text:
            self.pieces.append(progress.text)
        if progress.message:
            self.phase = progress.message
        for listener in self.listeners:
            listener(progress)


class Jobs:
    """The jobs of this process, by caller and handle, and by caller and what was asked."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.tasks: anyio.abc.TaskGroup | None = None
        self._clock = clock
        self._jobs: dict[tuple[str, str], Job] = {}
        self._asked: dict[tuple[str, str], dict[str, Job]] = {}  # by caller and digest: handle → job
        self._looked = clock()

    def group(self) -> anyio.abc.TaskGroup:
        """Where work goes on beside the requests."""
        assert self.tasks is not None, "the server is not running"
        return self.tasks

    def find(self, caller: str, handle: str, digest: str | None = None) -> Job | None:
        """The job with this handle. Raises InvalidRequest when it was asked something else."""
        job = self._jobs.get((caller, handle))
        if job is not None and digest is not None and job.digest != digest:
            raise InvalidRequest(
                "This request_id was used with other arguments.",
                hint="Use a new request_id, or send the same arguments to get that answer.",
            )
        return job

    def twin(self, caller: str, digest: str) -> Job | None:
        """A job that was asked exactly this and is running, or finished and was never fetched."""
        return next((job for job in self._asked.get((caller, digest), {}).values() if not job.heard), None)

    def start(
        self,
        caller: str,
        handle: str,
        digest: str,
        work: Callable[[Tell], Awaitable[Any]],
        deliver: Deliver = _anywhere,
    ) -> Job:
        """Begin `work` beside the requests. `deliver` is told when its result reached nobody, and when it did later."""
        self._forget_old()
        job, key = Job(handle, digest, deliver), (caller, handle)
        if key in self._jobs:
            self._forget(key)
        self._jobs[key] = job
        self._asked.setdefault((caller, digest), {})[handle] = job
        job.task = self.group().create_task(self._run(key, job, work))
        return job

    async def outcome(self, job: Job, patience_s: float, tell: Tell | None = None) -> Any | None:
        """What came of it, or None when patience ends first. Raises its fault. The last waiter's cancel cancels it."""
        job.waiting += 1
        if tell is not None:
            job.listeners = (*job.listeners, tell)
        try:
            with anyio.move_on_after(patience_s):
                await job.task.wait()
        except anyio.get_cancelled_exc_class():
            if job.waiting == 1:
                _left(job)
            raise
        finally:
            job.waiting -= 1
            if tell is not None:
                job.listeners = tuple(listener for listener in job.listeners if listener is not tell)
        if not job.done:
            job.kept = True
            return None
        if job.fault is not None:
            raise job.fault
        if job.kept and not job.heard:
            job.deliver(job.result, True)
        job.heard = True
        return job.result

    def __len__(self) -> int:
        return len(self._jobs)

    async def _run(self, key: tuple[str, str], job: Job, work: Callable[[Tell], Awaitable[Any]]) -> None:
        try:
            job.result = await work(job.tell)
        except anyio.get_cancelled_exc_class():
            job.fault = Cancelled("The call was cancelled.", hint="Ask again.")
            raise
        except Exception as fault:  # noqa: BLE001 - it is raised where somebody waits
            job.fault = fault
        finally:
            job.ended, job.done = self._clock(), True
            if not job.waiting and job.result is not None:
                job.deliver(job.result, False)
            if not job.kept and self._jobs.get(key) is job:
                self._forget(key)

    def _forget(self, key: tuple[str, str]) -> None:
        job = self._jobs.pop(key)
        alike = self._asked[key[0], job.digest]
        del alike[key[1]]
        if not alike:
            del self._asked[key[0], job.digest]

    def _forget_old(self) -> None:
        now = self._clock()
        if now - self._looked < LOOK_S and len(self._jobs) <= KEEP:
            return
        self._looked = now
        ended = sorted((job.ended, key) for key, job in self._jobs.items() if job.done)
        for index, (when, key) in enumerate(ended):
            if now - when > KEEP_S or len(ended) - index > KEEP:
                self._forget(key)


def _left(job: Job) -> None:
    """The last waiter goes, without a handle: the work ends; what was done in that moment reached nobody."""
    if job.done:
        if job.result is not None and not job.heard:
            job.deliver(job.result, False)
    elif not job.kept:
        job.task.cancel()
