"""Who exists now, and what model names stand for (contract §2). Pure: deployments and settings in, resolutions out.

Ranking, budgets and health are not its business; a name's deployments come in the order they were configured.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from providers.catalog import canonical, group

from .errors import NoModel
from .types import Ask, Deployment, Resolution


@dataclass(frozen=True, slots=True)
class Task:
    """What a task label stands for: a model or group, a strategy, a kind of task; None is not said."""

    model: str | None = None
    strategy: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Naming:
    """The part of the configuration that gives names a meaning. `max_price` is USD per million output tokens."""

    default: str = "auto"
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    tasks: Mapping[str, Task] = field(default_factory=dict[str, Task])
    fallbacks: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    equivalents: bool = True
    max_price: float | None = None
    demo: bool = False  # simulated deployments may be chosen without being named


Adopt = Callable[[str, str], Deployment | None]


def nobody(provider: str, model: str) -> Deployment | None:
    """Adopt nothing: only what is configured exists."""
    del provider, model
    return None


class Names:
    """A `Directory` over one frozen configuration; reload by making another."""

    def __init__(self, deployments: Sequence[Deployment], naming: Naming, adopt: Adopt = nobody) -> None:
        self._all = tuple(deployments)
        self._naming = naming
        self._adopt = adopt
        self._exact = {deployment.name: deployment for deployment in self._all}
        self._providers = {deployment.provider for deployment in self._all}

    def deployments(self) -> Sequence[Deployment]:
        """Every deployment, usable or not."""
        return self._all

    def resolve(self, ask: Ask) -> Resolution:
        """What `ask.model` stands for. Raises NoModel."""
        name = ask.model or self._naming.default
        if name == "auto":
            return Resolution(name, (tuple(self._choosable()),), auto=True)
        head, slash, rest = name.partition("/")
        if slash and canonical(head) in self._providers:
            return self._at(canonical(head), rest)
        found = tuple(self._bare(name))
        if not found:
            raise NoModel(f"No provider has a model named {name!r}.")
        return Resolution(name, (found,))

    def _at(self, provider: str, model: str) -> Resolution:
        if not model:
            return Resolution(
                f"{provider}/", (tuple(d for d in self._choosable() if d.provider == provider),), auto=True
            )
        found = self._exact.get(f"{provider}/{model}") or self._adopt(provider, model)
        if found is None:
            raise NoModel(f"Provider {provider!r} has no model {model!r}.")
        return Resolution(found.name, ((found,),), exact=True)

    def _bare(self, name: str) -> Iterator[Deployment]:
        own = [deployment for deployment in self._all if deployment.model == name]
        yield from own
        wanted = group("", name)
        yield from (d for d in self._all if d not in own and (d.group or group(d.provider, d.model)) == wanted)

    def _choosable(self) -> Iterator[Deployment]:
        limit = self._naming.max_price
        for deployment in self._all:
            dear = limit is not None and deployment.price is not None and deployment.price.output > limit
            if not dear and (self._naming.demo or not deployment.simulated):
                yield deployment
