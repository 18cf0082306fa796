"""From the file's words to the parts' own settings: one pure function per part, nothing is opened here."""

from routing.breaker import BreakerSettings
from routing.directory import Naming, Task
from routing.guard import Rules
from routing.settings import HedgeSettings, RetrySettings, RoutingSettings

from .config import Config
from .config.models import TaskTable


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
        retry=RetrySettings(attempts=retry.attempts, base_s=retry.base_s, max_s=retry.max_s),
        hedge=HedgeSettings(),
    )


def rules(config: Config) -> Rules:
    """`[breaker]`."""
    return Rules(BreakerSettings(**config.breaker.model_dump()))


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
