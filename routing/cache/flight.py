"""Single flight over a fleet: of the replicas that are asked the same at the same time one works, the others wait for it.

Within one process `routing/shelter.py` sees to that; between them `routing/store/shared.py` says who leads.
"""

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from ..background import background
from ..store.shared import Flights, SharedLost

LEASE_S = 15.0  # a replica that died in mid-call keeps the others waiting for so long at most
RENEW_S = LEASE_S / 3  # one that lives says so
LINGER_S = 5.0  # how long a finished flight can still be joined by a replica that looked a moment too early
POLL_S = 0.05, 0.5  # between looks at a flight of another replica: at first, at most


@dataclass(frozen=True, slots=True)
class Formation:
    """All replicas: one of them leads. A store that is lost means that each leads for itself."""

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
