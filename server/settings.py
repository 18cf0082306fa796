"""From the file's words to the parts' own settings: one pure function per part, nothing is opened here."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from routing.breaker import BreakerSettings
from routing.cache.exact import CacheSettings
from routing.costs.budgets import Cap, Plan
from routing.directory import Naming, Task
from routing.experiments.assignment import CALLER, Experiment
from routing.fusion.ask import FusionSettings
from routing.guard import Rules
from routing.hybrid import leaves
from routing.limits import Limits
from routing.settings import HedgeSettings, RetrySettings, RoutingSettings
from routing.store import Store, open_store
from routing.types import Deployment

from .config import Config, ConfigFault, Finding
from .config.load import Folders
from .config.models import BudgetLimits, ProviderTable, TaskTable
from .seats import Seat


def routing(config: Config) -> RoutingSettings:
    """`[routing]`, `[retry]`, and what of `[security]` and `[budget]` filters deployments."""
    table, retry = config.routing, config.retry
    return RoutingSettings(
        strategy=table.strategy,
        weights=table.weights.model_dump(),
        deadline_s=table.deadline_s,
        max_price=table.max_price,
        allowed_regions=frozenset(config.security.allowed_regions),
        unpriced=config.budget.unpriced == "allow",
        cheaper=config.budget.at_edge == "cheaper",
        retry=RetrySettings(attempts=retry.attempts, base_s=retry.base_s, max_s=retry.max_s),
        hedge=HedgeSettings(),
    )


def fusion(config: Config) -> FusionSettings:
    """`[fusion]`."""
    table = config.fusion
    return FusionSettings(
        table.min_confidence,
        table.max_calls,
        table.judge,
        table.models,
        table.effort,
        deadline_s=config.routing.deadline_s,
    )


def experiments(config: Config) -> Sequence[Experiment]:
    """`[experiments]`, in the file's order."""
    return [Experiment(name, **table.model_dump()) for name, table in config.experiments.items()]


def rules(config: Config) -> Rules:
    """`[breaker]`."""
    return Rules(BreakerSettings(**config.breaker.model_dump()))


def cache(config: Config) -> CacheSettings:
    """`[cache]`, and whether `[store]` lets texts be kept."""
    table = config.cache
    texts = config.store.texts == "full"
    return CacheSettings(table.enabled, table.ttl_s, table.max_entries, table.max_bytes, texts)


def hybrids(config: Config) -> Mapping[str, Sequence[str]]:
    """Providers that are several, by name. Raises ConfigFault where one is a member of itself."""
    found = {n: t.members for n, t in config.providers.table.items() if t.enabled and t.dialect == "hybrid"}
    for name in found:
        try:
            list(leaves(name, found))
        except ValueError as fault:
            raise ConfigFault((Finding("plenum.toml", f"providers.{name}.members", 0, str(fault)),)) from None
    return found


def naming(config: Config, strategies: frozenset[str], *, demo: bool) -> Naming:
    """`[models]`, `[routing]` and `[routing.tasks]`: what names stand for."""
    table = config.routing
    return Naming(
        default=table.model,
        groups=config.models,
        tasks={label: _task(said, strategies) for label, said in table.tasks.items()},
        fallbacks=table.fallbacks,
        equivalents=table.equivalents,
        max_price=table.max_price,
        demo=demo,
    )


def _task(said: str | TaskTable, strategies: frozenset[str]) -> Task:
    if isinstance(said, TaskTable):
        return Task(said.model, said.strategy, said.kind)
    return Task(strategy=said) if said in strategies else Task(model=said)


def plan(config: Config) -> Plan:
    """`[budget]` and the budgets of providers. Raises ValueError."""
    table = config.budget
    scopes = {"global": BudgetLimits(daily_usd=table.daily_usd, monthly_usd=table.monthly_usd)}
    scopes |= {f"provider:{name}": _limits(seat) for name, seat in config.providers.table.items()}
    scopes |= {f"model:{name}": limits for name, limits in table.models.items()}
    scopes |= {f"caller:{name}": limits for name, limits in table.callers.items()}
    scopes |= {f"task:{name}": limits for name, limits in table.tasks.items()}
    shadows = {name: said.daily_usd for name, said in config.experiments.items() if said.kind == "shadow"}
    scopes |= {f"caller:{CALLER}{name}": BudgetLimits(daily_usd=usd) for name, usd in shadows.items()}
    caps = tuple(cap for scope, limits in scopes.items() for cap in _caps(scope, limits))
    return Plan(caps, table.time_zone, table.alerts, table.at_edge, table.unpriced)


def _limits(table: ProviderTable) -> BudgetLimits:
    return BudgetLimits(daily_usd=table.daily_usd, monthly_usd=table.monthly_usd)


def _caps(scope: str, limits: BudgetLimits) -> Iterator[Cap]:
    if limits.daily_usd is not None:
        yield Cap(scope, "day", limits.daily_usd)
    if limits.monthly_usd is not None:
        yield Cap(scope, "month", limits.monthly_usd)


def limits(seats: Iterable[Seat], deployments: Iterable[Deployment]) -> dict[str, Limits]:
    """Rates of endpoints as configured, and of models that have their own, keyed as the limiter wants them."""
    tables = {seat.name: seat.table for seat in seats}
    found = {seat.endpoint: Limits(t.rpm, t.tpm, t.rpd, t.concurrency) for seat in seats if (t := seat.table)}
    for deployment in deployments:
        models = tables[deployment.provider].models if deployment.provider in tables else ()
        for model in models if isinstance(models, tuple) else ():
            if model.id == deployment.model and (model.rpm or model.tpm):
                found[deployment.unit] = Limits(model.rpm, model.tpm)
    return found


def store(config: Config, folders: Folders) -> AbstractAsyncContextManager[Store]:
    """The store of `[store] url`, else the file in the user's data folder. Raises ConfigFault for an unknown engine."""
    try:
        return open_store(config.store.url or f"sqlite:///{folders.data / 'plenum.db'}")
    except ValueError:
        raise ConfigFault(
            (Finding("plenum.toml", "store.url", 0, "should begin with sqlite:/// or postgresql://"),)
        ) from None
