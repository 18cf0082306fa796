"""The composition root: everything is opened here, on one exit stack, and closed once.

Transports and commands get an `Opener`; opening is late, because a host waits for `tools/list` and not for a ledger.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from providers.types import Answer
from routing.errors import Misconfigured
from routing.ports import Directory
from routing.types import Ask, Deployment, Reason, Receipt, Resolution, Result

from .config import Config, ConfigFault
from .config.world import World
from .house import misconfigured
from .hub import Hub


class Manager(Protocol):
    """The provider manager as tools see it (`routing.manager.ProviderManager`)."""

    async def generate(self, ask: Ask, tell: Callable[[Any], None] = ...) -> Result: ...

    def stream(self, ask: Ask) -> AbstractAsyncContextManager[Any]: ...

    async def explain(self, ask: Ask) -> Receipt: ...


class Journal(Protocol):
    """Where receipts and answers stay readable by id, and who works on which handle (`routing.journal.Kept`)."""

    async def receipt(self, id: str, caller: str) -> Receipt | None: ...  # noqa: A002

    async def answer(self, id: str, caller: str) -> Answer | None: ...  # noqa: A002

    async def begin(self, handle: str, caller: str) -> None: ...

    def end(self, handle: str, caller: str) -> None: ...

    async def lives(self, handle: str, caller: str) -> bool | None: ...

    async def stop(self, handle: str, caller: str) -> None: ...

    async def stopped(self, handle: str, caller: str) -> bool: ...

    async def refuse(self, handle: str, caller: str, reason: Reason) -> None: ...

    def deliver(self, id: str, *, reached: bool) -> None: ...  # noqa: A002


@dataclass(frozen=True, slots=True)
class App:
    """The open house. Parts that have not landed, or that a broken configuration cannot have, are None."""

    config: Config
    manager: Manager
    directory: Directory
    hub: Hub
    journal: Journal | None = None
    fusion: Any = None
    costs: Any = None
    purse: Any = None
    conversations: Any = None
    embeddings: Any = None
    health: Any = None
    guard: Any = None
    gate: Any = None
    context: Any = None
    admission: Any = None
    security: Any = None
    store: Any = None
    key_desk: Any = None
    desk: Any = None
    recall: Any = None
    fault: str | None = None
    warnings: tuple[str, ...] = ()


Opener = Callable[[], AbstractAsyncContextManager[App]]


def opener(world: World, *, demo: bool = False, in_flight: int = 64) -> Opener:
    """How to open this world's app. A broken configuration opens too: then every call answers with the fault.

    `in_flight`: how many jobs the transport takes on at once where `[routing] in_flight` does not say.
    """

    @asynccontextmanager
    async def _open() -> AsyncGenerator[App]:
        from .compose import composed
        from .examined import configured

        async with AsyncExitStack() as stack:
            try:
                opened = composed(world, configured(world), demo=demo, in_flight=in_flight)
                app = await stack.enter_async_context(opened)
            except ConfigFault as fault:
                app = _closed(str(fault))
            yield app

    return _open


def _closed(fault: str) -> App:
    shut = _Shut(fault)
    return App(Config(), shut, shut, Hub(), fault=fault)


class _Shut:
    """Answers every call with what is wrong and what to do."""

    def __init__(self, fault: str) -> None:
        self._fault = fault

    def _refuse(self) -> Misconfigured:
        return misconfigured(self._fault)

    async def generate(self, ask: Ask, tell: Callable[[Any], None] = lambda _: None) -> Result:
        del ask, tell
        raise self._refuse()

    def stream(self, ask: Ask) -> AbstractAsyncContextManager[Any]:
        del ask
        raise self._refuse()

    async def explain(self, ask: Ask) -> Receipt:
        del ask
        raise self._refuse()

    def deployments(self) -> Sequence[Deployment]:
        raise self._refuse()

    def resolve(self, ask: Ask) -> Resolution:
        del ask
        raise self._refuse()
