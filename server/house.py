"""What every tool and resource stands on: the app, opened when first needed, and the jobs that may outlive a call."""

from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from routing.errors import Misconfigured
from routing.events import BreakerChanged, BudgetAlert, CooledDown, Event
from server.jobs import Jobs
from server.mcp.changes import Changes
from server.mcp.once import Once

if TYPE_CHECKING:  # the app drags in configuration and routing: a host waits for tools/list without them
    from routing.admission import Kind
    from server.app import App

    Opener = Callable[[], AbstractAsyncContextManager[App]]

RECENT = 50  # ids a caller is offered when completing
CALLERS = 1_000


class House:
    """`await house.app()` is the open app."""

    def __init__(self, opener: "Opener") -> None:
        self._opener = opener
        self._recent: OrderedDict[str, deque[str]] = OrderedDict()
        self.jobs = Jobs()
        self.changes = Changes()
        # A configuration that cannot be carried out is looked at again by the next call: it may have been mended.
        self.app: Once[App] = Once(self._watched, passing=lambda app: app.fault is not None)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["House"]:
        """Enter in the server's lifespan. On the way out jobs settle first, then the app closes."""
        async with self.app.running() as tasks:
            self.jobs.tasks = tasks
            tasks.start_soon(self.changes.run)
            yield self

    def answered(self, caller: str, id: str) -> None:  # noqa: A002
        """Note an answer's id, to be offered again, and that money was spent."""
        ids = self._recent.setdefault(caller, deque(maxlen=RECENT))
        self._recent.move_to_end(caller)
        if id not in ids:
            ids.appendleft(id)
        if len(self._recent) > CALLERS:
            self._recent.popitem(last=False)
        self.changes.updated("plenum://costs/today", "plenum://status")

    def recent(self, caller: str) -> Sequence[str]:
        """The newest ids of this caller's answers, in this process."""
        return tuple(self._recent.get(caller, ()))

    @asynccontextmanager
    async def _watched(self) -> AsyncGenerator["App"]:
        async with self._opener() as app:
            unsubscribe = app.hub.subscribe(self._observe, BreakerChanged, CooledDown, BudgetAlert)
            try:
                yield app
            finally:
                unsubscribe()

    def _observe(self, event: Event) -> None:
        match event:
            case BreakerChanged() | CooledDown():
                self.changes.updated(
                    "plenum://models", "plenum://providers", f"plenum://providers/{event.provider}", "plenum://status"
                )
            case BudgetAlert():
                self.changes.updated("plenum://costs/today", "plenum://costs/month", "plenum://status")
            case _:
                pass


def misconfigured(fault: str) -> Misconfigured:
    """What a caller is told of a configuration's faults, one a line. File names stay with `plenum config check`."""
    count = fault.count("\n") + 1
    return Misconfigured(
        f"Plenum's configuration has {count} fault{'s' if count > 1 else ''}, so nothing can be asked.",
        hint="Run `plenum config check` in a terminal: it names the file, the line and the nearest valid key.",
    )


def sound(app: "App") -> "App":
    """The same. Raises Misconfigured where a fault in the configuration left parts out."""
    if app.fault is not None:
        raise misconfigured(app.fault)
    return app


def admitted(app: "App", kind: "Kind", max_latency_s: float | None = None) -> AbstractAsyncContextManager[None]:
    """Do one whole job within what Plenum takes on at once. Raises Limited. Members of a fuse do not enter again."""
    if app.admission is None:
        return nullcontext()
    return app.admission.enter(kind, inf if max_latency_s is None else monotonic() + max_latency_s)
