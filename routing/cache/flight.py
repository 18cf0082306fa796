"""Single flight: of those who ask the same at the same time one works, the others wait for what it finds.

Within the process by events, over a fleet by `routing/store/shared.py`. Who leads and is cancelled brings the work to its
end first where others wait for it (`shelter.py`); where nobody did, the next one leads.
"""

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Hashable
from contextlib import asynccontextmanager, contextmanager
from copy import copy
from dataclasses import dataclass, field

import anyio

from ..background import background
from ..errors import Refusal
from ..shelter import Shelter
from ..store.shared import Flights, SharedLost
from ..types import Result

LEASE_S = 15.0  # a replica that died in mid-call keeps the others waiting for so long at most
RENEW_S = LEASE_S / 3  # one that lives says so
LINGER_S = 5.0  # how long a finished flight can still be joined by a replica that looked a moment too early
POLL_S = 0.05, 0.5  # between looks at a flight of another replica: at first, at most


@dataclass(slots=True)
class Lead:
    """The part of one who works: `result` is what it found, for those who wait."""

    result: Result | None = None
    refusal: Refusal | None = None
    shelter: Shelter = field(default_factory=Shelter)


class SingleFlight:
    """Flights of this process by name."""

    def __init__(self) -> None:
        self._running: dict[Hashable, Lead] = {}

    def running(self, name: Hashable) -> bool:
        """Whether somebody works on it now."""
        return name in self._running

    async def outcome(self, name: Hashable) -> Result | None:
        """What the one who works finds; None when he gave up. Raises the refusal he ended with."""
        lead = self._running[name]
        await lead.shelter.wait()
        if lead.refusal is not None:
            raise copy(lead.refusal)
        return lead.result

    @contextmanager
    def lead(self, name: Hashable) -> Generator[Lead]:
        """Work inside, while nobody else does."""
        lead = self._running[name] = Lead()
        try:
            with lead.shelter.working():
                yield lead
        except Refusal as refusal:
            lead.refusal = refusal
            raise
        finally:
            del self._running[name]
            lead.shelter.end()


@dataclass(frozen=True, slots=True)
class Formation:
    """The same over all replicas: one of them leads. A store that is lost means that each leads for itself."""

    flights: Flights
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep

    async def lead_or_value(self, name: str) -> "Wing | bytes":
        """The lead, or what another replica found."""
        token, (pause, longest) = secrets.token_hex(8), POLL_S
        try:
            while True:
                seat = await self.flights.join(name, token, LEASE_S)
                if seat.leads:
                    return Wing(self.flights, name, token, self.sleep)
                if seat.value is not None:
                    return seat.value
                await self.sleep(pause)
                pause = min(pause * 2, longest)
        except SharedLost:
            return Wing(None, name, token)


@dataclass(frozen=True, slots=True)
class Wing:
    """A lead among replicas."""

    flights: Flights | None
    name: str
    token: str
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep

    @asynccontextmanager
    async def held(self) -> AsyncGenerator[None]:
        """Keep the lead for as long as the work lasts. What the work raises leaves as it is."""
        if self.flights is None:
            yield
            return
        async with background() as tasks:
            tasks.start_soon(self._renew, self.flights)
            yield

    async def _renew(self, flights: Flights) -> None:
        try:
            while True:
                await self.sleep(RENEW_S)
                await flights.join(self.name, self.token, LEASE_S)
        except SharedLost:
            return  # whoever waits leads for himself

    async def land(self, value: bytes | None) -> None:
        """Give it up, with what was found."""
        if self.flights is not None:
            with anyio.CancelScope(shield=True):
                try:
                    await self.flights.land(self.name, self.token, value, LINGER_S)
                except SharedLost:
                    return  # the lease ends by itself
