"""How the parts become a house: configuration in, open `App` out. Grows by one line per capability that lands.

`Ground` is what outlives a reload (engine, store, breakers, what traffic taught); a house is made anew from it.
"""

import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from typing import cast

from anyio.to_thread import run_sync

from providers.catalog import cost_nano, price
from providers.catalog.published import Published
from providers.catalog.tokens import Counter
from providers.http import Http
from providers.simulator import MODELS as SIM_MODELS
from providers.simulator import Conduct, Scenario, SimProvider, parse_fault
from providers.simulator import card as sim_card
from providers.types import Message, Price, Provider
from routing.background import background
from routing.cache.recall import ResponseCache
from routing.conversations import Conversations
from routing.costs.leases import leased
from routing.costs.pricing import Tariffs
from routing.costs.reports import Accountant, Known
from routing.costs.tally import Tally
from routing.costs.tracker import Tracker
from routing.desk import Desk
from routing.directory import Names
from routing.embedding import Embeddings
from routing.errors import Misconfigured
from routing.events import AttemptEnded, AttemptStarted, BudgetAlert, CacheLooked, Failed, Fused
from routing.experiments.aside import Aside
from routing.footprint import footprint
from routing.fusion.calibration import Taught
from routing.fusion.cascading import Agreement
from routing.fusion.fusion import Fusion, Means
from routing.fusion.tally import Tally as LeftCalls
from routing.hybrid import Hybrids
from routing.journal import Kept
from routing.manager import ProviderManager
from routing.ports import Directory, Recall
from routing.prepared import Prepared, Step
from routing.recall import Replay
from routing.refusals import Refusals
from routing.signals import Traffic
from routing.store import Store
from routing.store.faults import StoreFault
from routing.store.ledger import Ledger
from routing.store.tokens import Token
from routing.strategies import names as strategies
from routing.types import Ask, Deployment

from . import prices, settings
from .app import App
from .caching import response_cache, semantic
from .chores import Chores
from .config import Config, Loaded
from .config.world import World
from .context.service import Contexts, contexts
from .engines import engines
from .hub import Hub
from .keydesk import KeyDesk
from .living import living, reload
from .protection import Neighbourly, Protection, protection
from .proxies import proxies
from .roster import Roster, Wires
from .seats import seats
from .security.brought import Brought
from .security.given import keep, wanted
from .security.keeping import Keeping
from .security.keys import Keys, opened
from .security.redaction import current
from .security.second import SecondKeys
from .security.security import Security, secured
from .security.tokens import caps
from .security.veil import Veiled
from .security.watch import Watch
from .trying import laboratory, shadowing

_log = logging.getLogger(__name__)
THREAD_TOKENS = 24_000  # of a conversation's newest turns: fits every window worth routing to, with room to answer


@dataclass(frozen=True, slots=True)
class Ground:
    """What is opened once and stays."""

    wires: Wires
    hub: Hub
    protection: Protection
    traffic: Traffic
    store: Store
    ledger: Ledger
    counter: Counter
    tracker: Tracker
    recall: Replay
    contexts: Contexts
    cache: ResponseCache
    left_calls: LeftCalls
    taught: Taught
    engines: Sequence[Roster]
    locals: Mapping[str, Provider]
    watch: Watch
    refusals: Refusals
    aside: Aside
    demo: bool


@asynccontextmanager
async def composed(world: World, loaded: Loaded, *, demo: bool = False, in_flight: int = 64) -> AsyncGenerator[App]:
    """Open everything this configuration asks for; close it in reverse order, whatever happens."""
    async with AsyncExitStack() as stack:
        ground, keys = await _ground(stack, loaded, in_flight, demo=demo), Keys()
        stack.callback(ground.watch.settle, every=True)

        now = loaded
        tasks = await stack.enter_async_context(background())

        async def _given(provider: str, key: str) -> None:
            await keep(now, ground.store.audit, provider, key)
            await reload(world, _built, current)

        desk = KeyDesk(tasks, lambda: wanted(now), _given)

        async def _built(changed: Loaded) -> App:
            nonlocal now, keys
            now, keys = changed, await run_sync(opened, changed, keys)
            built = replace(house(ground, now, keys), key_desk=desk if wanted(now) else None)
            await _budgets(ground, now.config, ground.store.tokens.all())
            return built

        tasks.start_soon(ground.aside.run)
        ground.hub.subscribe(SecondKeys(tasks, lambda: (now, keys), ground.watch), AttemptEnded)
        chores = Chores(lambda: now.config, ground.store.retention, ground.watch)
        current = await stack.enter_async_context(living(world, loaded, _built, chores))
        yield cast("App", current)


async def _budgets(ground: Ground, config: Config, tokens: Sequence[Token]) -> None:
    """Let the configuration's budgets hold, and those that tokens carry."""
    plan = settings.plan(config)
    plan = replace(plan, caps=(*plan.caps, *caps(tokens, time.time())))
    ground.watch.adopted(plan.caps)
    await ground.tracker.adopt(plan)


async def _ground(stack: AsyncExitStack, loaded: Loaded, in_flight: int, *, demo: bool) -> Ground:
    newer = prices.kept(loaded.folders.data)
    wires = Wires(await stack.enter_async_context(Http()), proxies(loaded.environment), published=newer)
    hub, traffic = Hub(), Traffic(time.monotonic)
    store = await stack.enter_async_context(_ledger(loaded))
    ledger = await stack.enter_async_context(leased(store.ledger))
    hub.subscribe(Tally(store.books), CacheLooked, Fused)
    hub.subscribe(watch := Watch(store.audit), AttemptStarted, Failed, BudgetAlert)
    hub.subscribe(refusals := Refusals(store.archive, lambda text: current().text(text)), Failed)
    asleep = "a demo starts none of your own" if demo and not loaded.environment.get("PLENUM_CONTEXT_FILE") else ""
    sources = await stack.enter_async_context(contexts(loaded.folders.data, loaded.environment, hub, asleep=asleep))
    left_calls = LeftCalls()
    hub.subscribe(left_calls, AttemptEnded)
    found: Sequence[Roster] = ()
    if loaded.config.providers.auto and not demo:
        found = await engines(wires, frozenset(loaded.config.providers.table))
    own = store if isinstance(store, Neighbourly) else None
    shield = await stack.enter_async_context(protection(loaded.config, hub, in_flight, own))
    cache = response_cache(loaded.config, store, shield.shared, hub)
    return Ground(
        wires,
        hub,
        shield,
        traffic,
        store,
        ledger,
        Counter(),
        Tracker(ledger, Tariffs(cost_nano, partial(_found_price, newer)), observer=hub),
        _recall(store, loaded.config, hub, sources, cache),
        sources,
        cache,
        left_calls,
        Taught(store.marks),
        found,
        await _models_in_process(stack, wires, loaded),
        watch,
        refusals,
        Aside(),
        demo,
    )


@asynccontextmanager
async def _ledger(loaded: Loaded) -> AsyncGenerator[Store]:
    """The store, rid of what is older than it shall be. Without a ledger nothing may be spent: raises Misconfigured."""
    opening = settings.store(loaded.config, loaded.folders)
    try:
        store = await opening.__aenter__()
    except StoreFault as fault:
        _log.error("the ledger is %s: %s", fault.state, fault.detail)
        raise Misconfigured(f"{fault}, so nothing can be asked.", hint=fault.hint) from None
    async with AsyncExitStack() as stack:
        stack.push_async_exit(opening)
        store.archive.forget_before(time.time() - loaded.config.store.keep_days * 86_400)
        store.archive.trim(loaded.config.store.max_mb << 20)
        yield store


async def _models_in_process(stack: AsyncExitStack, wires: Wires, loaded: Loaded) -> Mapping[str, Provider]:
    """The user's own model files, by provider: opened once, so a changed path counts from the next start."""
    found: dict[str, Provider] = {}
    for seat in seats(loaded.config, loaded.environment):
        if seat.dialect == "local":
            from providers.local import LocalModels

            roster = Roster(seat, wires, opener=SimProvider())
            found[seat.name] = await stack.enter_async_context(LocalModels(roster.paths, roster.card))
    return found


def _recall(store: Store, config: Config, hub: Hub, sources: Contexts, cache: ResponseCache) -> Replay:
    """Replay by the caller's arguments, then the thread, then context, then the cache."""
    threads = Conversations(store.archive, _tokens)

    async def _thread(ask: Ask) -> Ask:
        return await threads.recalled(ask, THREAD_TOKENS)

    beneath = Prepared([_thread, sources.add], beneath=cache)
    return Replay(store.archive, store.archive, beneath=beneath, texts=config.store.texts == "full", observer=hub)


def _foreseen(*steps: Step) -> Step:
    async def _all(ask: Ask) -> Ask:
        for step in steps:
            ask = await step(ask)
        return ask

    return _all


def _found_price(newer: Callable[[], Published], provider: str, model: str) -> Price | None:
    return price(provider, model, datetime.now(UTC), published=newer())


def house(ground: Ground, loaded: Loaded, keys: Keys | None = None) -> App:
    """The app of one configuration on this ground. Raises ConfigFault."""
    config, shield = loaded.config, ground.protection
    keys = keys or Keys()
    directory = _directory(ground, loaded, keys)
    security = secured(config, ground.store.tokens, ground.watch, partial(_budgets, ground, config))
    recall = Keeping(current(), Prepared(security.steps, ground.recall))
    making = partial(_manager, ground, config, security)
    manager = Veiled(current(), making(recall, directory))
    threads = Conversations(ground.store.archive, _tokens)
    prepare = _foreseen(security.allowed, partial(threads.recalled, tokens=THREAD_TOKENS))
    # what was bought of vectors is remembered by its receipt: the vectors themselves are not kept
    bought = Replay(ground.store.archive, ground.store.archive, texts=False, observer=ground.hub)
    embeddings = Embeddings(directory, partial(making, Prepared(security.vectors, bought)), config.embeddings.model)
    ground.contexts.adopt(loaded, directory, embeddings.embed)
    ground.cache.adopt(settings.cache(config), directory, semantic(config, directory, ground.store, embeddings))
    return App(
        config,
        laboratory(
            config, manager, ground.store.trials, shadowing(ground.aside, prepare, directory, ground.protection)
        ),
        directory,
        ground.hub,
        journal=Kept(ground.store.archive, ground.store.books, ground.store.archive, ground.refusals),
        fusion=Fusion(manager, directory, settings.fusion(config), _means(ground, recall, embeddings)),
        purse=ground.tracker,
        costs=_accountant(ground, config, directory),
        conversations=threads,
        embeddings=embeddings,
        guard=shield.guards,
        gate=shield.limiter,
        health=shield.health,
        admission=shield.admission,
        context=ground.contexts,
        security=security,
        store=ground.store,
        desk=_desk(ground, config, directory),
        recall=recall,
        warnings=(*loaded.warnings, *([keys.fault] if keys.fault else ())),
    )


def _manager(
    ground: Ground, config: Config, security: Security, recall: Recall, directory: Directory
) -> ProviderManager:
    shield = ground.protection
    return ProviderManager(
        directory,
        settings=settings.routing(config),
        purse=ground.tracker,
        recall=recall,
        foresee=_foreseen(security.allowed, ground.contexts.foresee),
        gate=shield.limiter,
        guard=shield.guards,
        balancer=shield.balancer,
        measure=ground.counter,
        carbon=footprint,
        cascade=Agreement(),
        traffic=ground.traffic,
        observer=ground.hub,
    )


def _desk(ground: Ground, config: Config, directory: Directory) -> Desk:
    return Desk(
        directory,
        ground.tracker.tariffs,
        settings=settings.routing(config),
        purse=ground.tracker,
        measure=ground.counter,
        carbon=footprint,
        observer=ground.hub,
    )


def _means(ground: Ground, recall: Recall, embeddings: Embeddings) -> Means:
    return Means(
        purse=ground.tracker,
        recall=recall,
        tally=ground.left_calls,
        lessons=ground.taught,
        embedding=embeddings,
        latency_s=ground.traffic.latency_s,
        observer=ground.hub,
    )


def _accountant(ground: Ground, config: Config, directory: Directory) -> Accountant:
    known = Known(lambda: ground.tracker.plan, directory.deployments, cost_nano, lambda: config.cache.enabled)
    return Accountant(ground.store.books, ground.ledger, known)


def _directory(ground: Ground, loaded: Loaded, keys: Keys) -> Directory:
    config, rosters = loaded.config, _rosters(ground, loaded, keys)
    current().learn(key for roster in rosters.values() if (key := roster.seat.key()))
    deployments = [d for roster in rosters.values() for d in roster.deployments()]
    ground.protection.adopt(rosters.values(), deployments)

    def _adopt(provider: str, model: str) -> Deployment | None:
        return rosters[provider].adopt(model) if provider in rosters else None

    naming = settings.naming(config, frozenset(strategies()), demo=ground.demo)
    everybody = [*deployments, *simulated(demo=ground.demo)]
    names = Names(everybody, naming, _adopt, today=today, providers=rosters)
    return Brought(Hybrids(names, hybrids) if (hybrids := settings.hybrids(config)) else names)


def _rosters(ground: Ground, loaded: Loaded, keys: Keys) -> Mapping[str, Roster]:
    if ground.demo:
        return {}
    found = {roster.seat.name: roster for roster in ground.engines}
    return found | {
        seat.name: Roster(seat, ground.wires, opener=ground.locals.get(seat.name))
        for seat in seats(loaded.config, loaded.environment, keys)
    }


def _tokens(messages: tuple[Message, ...]) -> int:
    return sum(len(message.text) for message in messages) // 3  # a third of the characters: above prose and code


def today() -> date:
    """The day by which models retire."""
    return datetime.now(UTC).date()


def simulated(*, demo: bool) -> Sequence[Deployment]:
    """The simulator's deployments: there for whoever names them, chosen unnamed only in a demo."""
    opener, tariff = SimProvider(), Price(1.0, 2.0, source="simulated")
    plain = [
        Deployment("sim", name, "sim|-|process", sim_card(name), tariff, opener, 2, simulated=True)
        for name in SIM_MODELS
    ]
    return [*plain, *_relay(tariff)] if demo else plain


def _relay(tariff: Price) -> Sequence[Deployment]:
    """One model at two simulated providers, of which the first dies in mid-answer: a failover to be seen.

    Nothing is expected of that one, so that no panel is given its seat: the other speaks for their model.
    """
    broken = SimProvider(Scenario(models={"smart": Conduct(script=(parse_fault("cut_stream"),), repeat=True)}))
    card = sim_card("smart")
    dying = replace(card, quality={"default": 0.0})
    return [
        Deployment("sim-east", "smart", "sim-east|-|process", dying, tariff, broken, 1, group="relay", simulated=True),
        Deployment(
            "sim-west", "smart", "sim-west|-|process", card, tariff, SimProvider(), group="relay", simulated=True
        ),
    ]
