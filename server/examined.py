"""Whether what a configuration says can also be carried out: addresses, dialects, names, limits that contradict each other.

`config/load.py` knows the types; this knows what there is. Every fault is told at once, with its file and line.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

from providers.catalog import rows
from routing.hybrid import leaves
from routing.strategies import names as strategies

from . import settings
from .config import Config, ConfigFault, Finding, Loaded
from .config.load import Folders, text_of
from .config.locate import line_of
from .config.models import TaskTable
from .config.world import World
from .seats import seats

SHARED = ("redis://", "rediss://", "unix://")
SIM = "sim"


@dataclass(frozen=True, slots=True)
class Wrong:
    """A fault at a key; where that stands is looked up once all are found."""

    key: tuple[str, ...]
    message: str
    nearest: str = ""


def configured(world: World) -> Loaded:
    """The world's configuration as it is now, if it can be carried out. Raises ConfigFault."""
    return examined(world.load())


def examined(loaded: Loaded) -> Loaded:
    """The same. Raises ConfigFault with all that cannot be carried out."""
    wrong = [*_seats(loaded), *(fault for check in CHECKS for fault in check(loaded.config))]
    if wrong:
        texts = {file: text_of(file) for file in loaded.files}
        raise ConfigFault(tuple(_placed(fault, texts) for fault in wrong))
    return loaded


def _seats(loaded: Loaded) -> Iterator[Wrong]:
    try:
        seats(loaded.config, loaded.environment)
    except ConfigFault as fault:
        yield from (Wrong(tuple(found.key.split(".", 1)), found.message) for found in fault.findings)


def _providers(config: Config) -> Iterator[Wrong]:
    for name, table in config.providers.table.items():
        if "/" in name:
            yield Wrong(("providers", name), "may hold no slash: what stands before one is the provider's name")
        if name == SIM and table.dialect not in (None, SIM):
            yield Wrong(("providers", name), "is the simulator's name: choose another")


def _hybrids(config: Config) -> Iterator[Wrong]:
    tables = config.providers.table
    teams = {name: table.members for name, table in tables.items() if table.enabled and table.dialect == "hybrid"}
    known = {*rows(), *tables, SIM}
    for name, members in teams.items():
        key = ("providers", name, "members")
        strangers = [member for member in members if member not in known]
        if not members:
            yield Wrong(key[:2], 'needs members, as in members = ["openai", "anthropic"]')
        elif strangers:
            yield Wrong(key, f"{strangers[0]!r} is no provider here", _near(strangers[0], known))
        else:
            yield from _circle(key, teams)


def _circle(key: tuple[str, ...], teams: Mapping[str, Sequence[str]]) -> Iterator[Wrong]:
    try:
        list(leaves(key[1], teams))
    except ValueError as fault:
        yield Wrong(key, str(fault))


def _strategies(config: Config) -> Iterator[Wrong]:
    known = strategies()
    asked: dict[tuple[str, ...], str] = {("routing", "strategy"): config.routing.strategy}
    for label, task in config.routing.tasks.items():
        if isinstance(task, TaskTable) and task.strategy:
            asked["routing", "tasks", label, "strategy"] = task.strategy
    for key, name in asked.items():
        if name not in known:
            yield Wrong(key, f"there is no strategy {name!r}; there are {', '.join(known)}", _near(name, known))


def _groups(config: Config) -> Iterator[Wrong]:
    for name, members in config.models.items():
        if name == "auto":
            yield Wrong(("models", name), "stands for Plenum's own choice: give the group another name")
        elif not members:
            yield Wrong(("models", name), 'names no model, as in ["openai/gpt-4.1-mini"]')
        elif set(members) == {name}:
            yield Wrong(("models", name), "names only itself")


def _limits(config: Config) -> Iterator[Wrong]:
    breaker, retry, weights = config.breaker, config.retry, config.routing.weights
    if breaker.open_s > breaker.max_open_s:
        yield Wrong(("breaker", "open_s"), f"is longer than max_open_s ({breaker.max_open_s:g})")
    if retry.base_s > retry.max_s:
        yield Wrong(("retry", "base_s"), f"is longer than max_s ({retry.max_s:g})")
    if not any(weights.model_dump().values()):
        yield Wrong(("routing", "weights"), "one of them should be above 0")


def _places(config: Config) -> Iterator[Wrong]:
    try:
        settings.store(config, Folders(Path(), Path()))
    except ConfigFault as fault:
        yield Wrong(("store", "url"), fault.findings[0].message)
    if config.store.shared and not config.store.shared.startswith(SHARED):
        yield Wrong(("store", "shared"), f"should begin with {', '.join(SHARED[:-1])} or {SHARED[-1]}")
    for origin in config.http.origins:
        if not (urlsplit(origin).scheme and urlsplit(origin).netloc):
            yield Wrong(("http", "origins"), "each should be a scheme and a host, as in https://app.example.com")
    if not all(config.http.hosts):
        yield Wrong(("http", "hosts"), "one of them is empty")


CHECKS: Sequence[Callable[[Config], Iterator[Wrong]]] = (
    *(_providers, _hybrids, _strategies, _groups, _limits, _places),
)


def _near(name: str, names: Sequence[str] | set[str]) -> str:
    return next(iter(get_close_matches(name, sorted(names), 1, 0.5)), "")


def _placed(fault: Wrong, texts: Mapping[Path, str]) -> Finding:
    file, line = next(((f, n) for f, text in texts.items() if (n := line_of(text, fault.key))), (None, 0))
    return Finding(str(file) if file else "environment", ".".join(fault.key), line, fault.message, fault.nearest)
