"""How the parts become a house: configuration in, open `App` out. Grows by one line per capability that lands.

`Ground` is what outlives a reload (engine, store, breakers, what traffic taught); everything else is made anew.
"""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from providers.http import Http
from providers.simulator import MODELS as SIM_MODELS
from providers.simulator import SimProvider
from providers.simulator import card as sim_card
from providers.types import Price
from routing.balancer import RoundRobin
from routing.directory import Names
from routing.guard import Guards
from routing.manager import ProviderManager
from routing.signals import Traffic
from routing.strategies import names as strategies
from routing.types import Deployment

from . import settings
from .app import App
from .config import Loaded
from .engines import engines
from .hub import Hub
from .proxies import proxies
from .roster import Roster, Wires
from .seats import seats


@dataclass(frozen=True, slots=True)
class Ground:
    """What is opened once and stays."""

    wires: Wires
    hub: Hub
    guards: Guards
    balancer: RoundRobin
    traffic: Traffic
    engines: Sequence[Roster]
    demo: bool


@asynccontextmanager
async def composed(loaded: Loaded, *, demo: bool = False) -> AsyncGenerator[App]:
    """Open everything this configuration asks for; close it in reverse order, whatever happens."""
    async with AsyncExitStack() as stack:
        yield house(await _ground(stack, loaded, demo=demo), loaded)


async def _ground(stack: AsyncExitStack, loaded: Loaded, *, demo: bool) -> Ground:
    wires = Wires(await stack.enter_async_context(Http()), proxies(loaded.environment))
    hub, traffic, balancer = Hub(), Traffic(time.monotonic), RoundRobin()
    guards = Guards(settings.rules(loaded.config), watchers=(balancer,), observe=hub)
    found: Sequence[Roster] = ()
    if loaded.config.providers.auto and not demo:
        found = await engines(wires, frozenset(loaded.config.providers.table))
    return Ground(wires, hub, guards, balancer, traffic, found, demo)


def house(ground: Ground, loaded: Loaded) -> App:
    """The app of one configuration on this ground."""
    config = loaded.config
    rosters = {r.seat.name: r for r in ground.engines}
    if not ground.demo:
        rosters |= {seat.name: Roster(seat, ground.wires) for seat in seats(config, loaded.environment)}
    deployments = [d for roster in rosters.values() for d in roster.deployments()]

    def _adopt(provider: str, model: str) -> Deployment | None:
        return rosters[provider].adopt(model) if provider in rosters else None

    naming = settings.naming(config, frozenset(strategies()), demo=ground.demo)
    directory = Names([*deployments, *simulated()], naming, _adopt)
    manager = ProviderManager(
        directory,
        settings=settings.routing(config),
        guard=ground.guards,
        balancer=ground.balancer,
        traffic=ground.traffic,
        observer=ground.hub,
    )
    return App(config, manager, directory, ground.hub, guard=ground.guards, warnings=loaded.warnings)


def simulated() -> Sequence[Deployment]:
    """The simulator's deployments: there for whoever names them, chosen unnamed only in a demo."""
    opener = SimProvider()
    return [
        Deployment(
            "sim", name, "sim|-|process", sim_card(name), Price(1.0, 2.0, source="simulated"), opener, simulated=True
        )
        for name in SIM_MODELS
    ]
