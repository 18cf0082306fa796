"""Opens what protects calls: guards, limits, health and its checks, admission; over a fleet where `[store] shared` is set."""

import time
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import anyio

from providers.dialects import Call
from providers.http import HttpProvider
from routing.admission import Admission, AdmissionSettings
from routing.background import background
from routing.balancer import RoundRobin
from routing.events import BreakerChanged
from routing.fleet import Commons, FleetLimiter
from routing.guard import Guards
from routing.health import Check, Checkup, Health
from routing.limits import Limiter
from routing.store.days import StoredDays
from routing.store.faults import StoreFault
from routing.store.shared import Board
from routing.types import Deployment

from . import settings
from .config import Config, ConfigFault, Finding
from .hub import Hub
from .memory import used_share
from .roster import Roster

if TYPE_CHECKING:
    from routing.store.redis import RedisShared  # brings redis-py, an extra

OWN_EVERY_S = 2.0  # between looks at what the user's other processes say: a read, no write


@runtime_checkable
class Neighbourly(Protocol):
    """A store through which the processes that use it share holds, days and limits."""

    @property
    def board(self) -> Board: ...

    @property
    def days(self) -> StoredDays: ...


@dataclass(frozen=True, slots=True)
class Protection:
    """What outlives a reload of the configuration."""

    guards: Guards
    limiter: Limiter | FleetLimiter
    balancer: RoundRobin
    health: Health
    checkup: Checkup
    admission: Admission
    shared: "RedisShared | None" = None

    def adopt(self, rosters: Collection[Roster], deployments: Iterable[Deployment]) -> None:
        """Put the limits and checks of a configuration in force."""
        self.limiter.replace(settings.limits([roster.seat for roster in rosters], deployments))
        self.checkup.adopt(tuple(checks(rosters)))


@asynccontextmanager
async def protection(
    config: Config, hub: Hub, in_flight: int = 64, own: Neighbourly | None = None
) -> AsyncGenerator[Protection]:
    """Open it. Raises ConfigFault where the shared store's address is none, or its client is not installed.

    Without a shared store the processes share holds, days and limits through `own`: their file, or their server.
    """
    health, balancer = Health(), RoundRobin()
    hub.subscribe(health.observe, BreakerChanged)
    admission = Admission(AdmissionSettings(in_flight=config.routing.in_flight or in_flight), memory=used_share)
    checkup = Checkup(health)
    rules, watchers = settings.rules(config), (balancer, health)
    async with _store(config.store.shared) as store, background() as tasks:
        guards = Guards(rules, watchers=watchers, observe=hub, leases=store)
        days = own.days if own is not None else None
        limiter = Limiter(days=days) if store is None else FleetLimiter(store, {}, clock=time.monotonic)
        tasks.start_soon(checkup.run)
        if (board := store or (own.board if own is not None else None)) is not None:
            commons = Commons(
                board,
                guards.cooldowns,
                gate=limiter,
                hints=lambda: _ailing(health, guards),
                every_s=OWN_EVERY_S if store is None else 0.5,
            )
            await commons.exchange()
            tasks.start_soon(commons.run)
        if days is not None and store is None:
            tasks.start_soon(_kept_in_step, days)
        yield Protection(guards, limiter, balancer, health, checkup, admission, store)


async def _kept_in_step(days: StoredDays) -> None:
    """Learn what the user's other processes counted."""
    while True:
        with suppress(StoreFault):  # a store in trouble says so where money is asked for; here the own count goes on
            await days.refresh()
        await anyio.sleep(OWN_EVERY_S)


def checks(rosters: Iterable[Roster]) -> Iterator[Check]:
    """The active checks that `[providers.NAME.health]` asks for: one GET of a cheap endpoint, never a completion."""
    for roster in rosters:
        table, opener = roster.seat.table.health, roster.opener
        if table.enabled and isinstance(opener, HttpProvider):
            call = Call(table.endpoint, method="GET")
            yield Check(roster.seat.name, partial(opener.fetch, call), table.interval_s, table.timeout_s)


@asynccontextmanager
async def _store(url: str | None) -> AsyncGenerator["RedisShared | None"]:
    if url is None:
        yield None
        return
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise _fault("should begin with redis://, rediss:// or unix://")
    try:
        from routing.store.redis import open_redis
    except ImportError:
        raise _fault("needs the fleet extra: `pip install 'plenum-mcp[fleet]'`") from None
    async with open_redis(url) as store:
        yield store


def _fault(message: str) -> ConfigFault:
    return ConfigFault((Finding("plenum.toml", "store.shared", 0, message),))


def _ailing(health: Health, guards: Guards) -> Mapping[str, str]:
    barriers = guards.show()
    names = {barrier.provider for barrier in barriers}
    found = {name: health.provider(name, barriers).status for name in names}
    return {name: status for name, status in found.items() if status != "healthy"}
