"""Who exists now, and what model names stand for (contract §2). Pure: deployments and settings in, resolutions out.

Ranking, budgets and health are not its business; a name's deployments come in the order they were configured.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from providers.catalog import Alias, alias, canonical, find, group

from .strangers import extinct, missing, nobody_configured, unknown
from .types import Ask, Deployment, Resolution

AUTO = "auto"
KINDS = frozenset({"math", "code", "reasoning", "knowledge", "writing"})


@dataclass(frozen=True, slots=True)
class Task:
    """What a task label stands for: a model or group, a strategy, a kind of task; None is not said."""

    model: str | None = None
    strategy: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Naming:
    """The part of the configuration that gives names a meaning.

    A task given as a string is a strategy if it names one, else a model or group. `max_price` is USD per million
    output tokens: dearer models serve only when named. In a `demo` simulated deployments serve without being named.
    """

    default: str = AUTO
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    tasks: Mapping[str, Task | str] = field(default_factory=dict[str, "Task | str"])
    fallbacks: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    strategies: frozenset[str] = frozenset()
    equivalents: bool = True
    max_price: float | None = None
    demo: bool = False


PLAIN = Task()
REMEMBERED = 512  # names: callers make them up
Adopt = Callable[[str, str], Deployment | None]


def nobody(provider: str, model: str) -> Deployment | None:
    """Adopt nothing: only what is configured exists."""
    del provider, model
    return None


class Names:
    """A `Directory` over one frozen configuration; a reload makes another.

    `adopt(provider, model)` makes a deployment of a model that was not configured, when it is named; None refuses.
    `providers` exist even while they have no deployment; `today` is the day by which models retire.
    """

    def __init__(
        self,
        deployments: Iterable[Deployment],
        naming: Naming,
        adopt: Adopt = nobody,
        *,
        today: Callable[[], date],
        providers: Iterable[str] = (),
    ) -> None:
        self._all = tuple(deployments)
        self._naming = naming
        self._today = today
        self._adopt = adopt
        self._exact = {deployment.name: deployment for deployment in self._all}
        self._providers = tuple(dict.fromkeys([*providers, *(deployment.provider for deployment in self._all)]))
        self._known: dict[tuple[str, date], Resolution] = {}

    def deployments(self) -> Sequence[Deployment]:
        """Every deployment, usable or not."""
        return self._all

    def resolve(self, ask: Ask) -> Resolution:
        """What `ask.model` and `ask.task` stand for. Raises NoModel with the nearest names and what to do."""
        task = self._task(ask.task) if ask.task else PLAIN
        name = ask.model if ask.model not in ("", AUTO) else task.model or self._naming.default
        found = self._remembered(name)
        return found if task == PLAIN else replace(found, strategy=task.strategy, kind=task.kind)

    def _remembered(self, name: str) -> Resolution:
        """What a name stands for changes with the day only, as long as nobody is adopted for it."""
        key = name, self._today()
        if (known := self._known.get(key)) is None:
            known = self._named(name)
            if all(self._exact.get(d.name) is d for step in known.steps for d in step):
                if len(self._known) >= REMEMBERED:
                    self._known.clear()
                self._known[key] = known
        return known

    def _task(self, label: str) -> Task:
        said = self._naming.tasks.get(label)
        kind = label if label in KINDS else None
        if isinstance(said, Task):
            return replace(said, kind=said.kind or kind)
        if said is None:
            return Task(kind=kind)
        if said in self._naming.strategies and said not in self._naming.groups:
            return Task(strategy=said, kind=kind)
        return Task(model=said, kind=kind)

    def _named(self, name: str) -> Resolution:
        if name == AUTO:
            found = self._choosable()
            if not found:
                raise nobody_configured()
            return Resolution(AUTO, (found,), auto=True)
        provider, model = self._split(name)
        return self._at(provider, model) if provider else self._bare(name)

    def _split(self, name: str) -> tuple[str, str]:
        head, slash, rest = name.partition("/")
        known = slash and canonical(head) in self._providers
        return (canonical(head), rest) if known else ("", name)

    def _at(self, provider: str, model: str) -> Resolution:
        found = self._serving(f"{provider}/{model}")
        if found and not model:
            return Resolution(f"{provider}/", (found,), auto=True)
        if not found:
            raise missing(provider, model, self._today(), self._all)
        return Resolution(found[0].name, (found,), exact=True, warnings=self._ending(found[0]))

    def _bare(self, name: str) -> Resolution:
        old = self._obsolete(name)
        if old and not old.now:
            raise extinct(old, self._today())
        target = old.now or name if old else name
        first = self._serving(target)
        equals = self._equals(target) if self._naming.equivalents and target not in self._naming.groups else ()
        filled = _distinct([first, equals, *self._fallbacks(name), *(self._fallbacks(target) if old else ())])
        if not filled:
            raise unknown(name, target, self._all, self._naming.groups)
        said = [f"{old.fate(self._today())}; {target} answers instead"] if old else [*self._ending(filled[0][0])]
        if not first:
            said.append(f"nobody configured has {target}: {filled[0][0].name} answers instead")
        return Resolution(target, filled, warnings=tuple(said), effort=old.effort if old else None)

    def _obsolete(self, name: str) -> Alias | None:
        if name in self._naming.groups or self._own(name):
            return None
        old = alias(name)
        return old if old and old.obsolete(self._today()) else None

    def _serving(self, name: str, seen: frozenset[str] = frozenset()) -> tuple[Deployment, ...]:
        """What a name stands for by itself, without fallbacks; empty where it stands for nothing here."""
        if name == AUTO:
            return self._choosable()
        provider, model = self._split(name)
        if provider:
            return self._exactly(provider, model) if model else self._choosable(provider)
        if own := self._own(name):
            return own
        if name in self._naming.groups:
            return self._members(name, seen)
        old = self._obsolete(name)
        if old and old.now:
            return self._serving(old.now, seen)
        return self._equals(name) or self._adopted(name)

    def _exactly(self, provider: str, model: str) -> tuple[Deployment, ...]:
        if found := self._exact.get(f"{provider}/{model}"):
            return () if found.status == "retired" else (found,)
        old = alias(model)
        if old and old.obsolete(self._today()):
            return ()
        made = self._adopt(provider, model)
        return (made,) if made else ()

    def _own(self, name: str) -> tuple[Deployment, ...]:
        return self._real([d for d in self._all if d.model == name and d.status != "retired"])

    def _real(self, found: Sequence[Deployment]) -> tuple[Deployment, ...]:
        """Without simulated ones, where others have that name and it is no demo (contract §5)."""
        real = tuple(d for d in found if not d.simulated)
        return real if real and not self._naming.demo else tuple(found)

    def _members(self, name: str, seen: frozenset[str]) -> tuple[Deployment, ...]:
        if name in seen:  # a group that names itself adds nothing
            return ()
        inner = (self._serving(member, seen | {name}) for member in self._naming.groups[name])
        return tuple({deployment.name: deployment for found in inner for deployment in found}.values())

    def _fallbacks(self, name: str) -> Iterator[tuple[Deployment, ...]]:
        yield from (self._serving(other) for other in self._naming.fallbacks.get(name, ()))

    def _equals(self, name: str) -> tuple[Deployment, ...]:
        wanted = group("", name)
        return self._real([d for d in self._all if _group_of(d) == wanted and d.status != "retired"])

    def _adopted(self, name: str) -> tuple[Deployment, ...]:
        ids = ((provider, find(provider, name)) for provider in self._providers)
        made = [d for d in (self._adopt(provider, model) for provider, model in ids if model) if d]
        return tuple(d for d in made if d.model == name) or tuple(made)

    def _choosable(self, provider: str | None = None) -> tuple[Deployment, ...]:
        """What may serve without being named: chat models within `max_price`; simulated ones in a demo or by provider."""
        limit = self._naming.max_price
        return tuple(
            d
            for d in self._all
            if provider in (None, d.provider)
            and "embeddings" not in d.card.capabilities
            and (self._naming.demo or provider or not d.simulated)
            and not (limit is not None and d.price is not None and d.price.output > limit)
        )

    def _ending(self, deployment: Deployment) -> tuple[str, ...]:
        ends = deployment.card.retires
        if not ends or ends <= self._today().isoformat():
            return ()
        instead = deployment.card.replaced_by
        return (f"{deployment.name} ends on {ends}" + (f"; {instead} takes its place" if instead else ""),)


def _distinct(steps: Iterable[Sequence[Deployment]]) -> tuple[tuple[Deployment, ...], ...]:
    """The steps without deployments of an earlier one, and without empty ones."""
    seen: set[str] = set()
    kept: list[tuple[Deployment, ...]] = []
    for step in steps:
        if fresh := tuple(d for d in step if d.name not in seen):
            kept.append(fresh)
            seen.update(d.name for d in fresh)
    return tuple(kept)


def _group_of(deployment: Deployment) -> str:
    return deployment.group or group(deployment.provider, deployment.model)
