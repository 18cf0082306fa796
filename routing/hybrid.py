"""Several providers as one: a `Directory` in front of another, for providers whose dialect is `hybrid`.

`team/model` may be served by every member that has the model, `team/` by any model of theirs. The members stay who they
are: their limits, breakers, prices and weights count, and the receipt names the one that answered.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

from .errors import NoModel
from .ports import Directory
from .types import Ask, Deployment, Resolution


class Hybrids:
    """`members` maps the name of a hybrid to those of its providers, which may be hybrids themselves."""

    def __init__(self, inner: Directory, members: Mapping[str, Sequence[str]]) -> None:
        self._inner = inner
        self._providers = {name: frozenset(leaves(name, members)) for name in members}

    def deployments(self) -> Sequence[Deployment]:
        """The members' own: a hybrid has none."""
        return self._inner.deployments()

    def resolve(self, ask: Ask) -> Resolution:
        """What `ask.model` stands for. Raises NoModel with the nearest of the members' models."""
        team, slash, model = ask.model.partition("/")
        if not slash or team not in self._providers:
            return self._inner.resolve(ask)
        of_team = [d for d in self._inner.deployments() if d.provider in self._providers[team]]
        if not model:
            return Resolution(ask.model, (tuple(d for d in of_team if not d.simulated),), auto=True)
        found = tuple(d for d in of_team if model in (d.model, d.group))
        if not found:
            near = get_close_matches(model, {d.model for d in of_team}, 3)
            hint = (
                f"nearest: {', '.join(f'{team}/{name}' for name in near)}"
                if near
                else f"list_models shows what {team}'s members have"
            )
            raise NoModel(f"no member of {team!r} has a model {model!r}", hint=hint)
        return Resolution(ask.model, (found,))


def leaves(name: str, members: Mapping[str, Sequence[str]], above: tuple[str, ...] = ()) -> Iterator[str]:
    """The providers a hybrid comes down to. Raises ValueError where one is a member of itself."""
    if name in above:
        raise ValueError(f"the hybrid {name!r} is a member of itself: {' → '.join((*above, name))}")
    if name not in members:
        yield name
        return
    for member in members[name]:
        yield from leaves(member, members, (*above, name))
