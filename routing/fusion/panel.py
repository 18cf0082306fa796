"""Who is asked, and in what order. Pure. Source of every constant: guide fusion-and-routing §5, §9."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..types import Deployment
from .types import Member

ERROR_RATIO = (
    2.0  # a member may err twice as often as the best: beyond, it dilutes (3x: worst pool -1.4; 1.3x: half the gain)
)


@dataclass(frozen=True, slots=True)
class Panel:
    """Members best first, and who was left out and why."""

    members: tuple[Member, ...]
    excluded: tuple[tuple[str, str], ...] = ()


def ranked(members: Iterable[Member]) -> list[Member]:
    """Best first; equals stay in the order given."""
    return sorted(members, key=lambda member: -member.quality)


def admitted(members: Sequence[Member]) -> Panel:
    """The panel rule: nobody who errs more than twice as often as the best. A panel of one is legal."""
    order = ranked(members)
    if not order:
        return Panel(())
    limit = ERROR_RATIO * (1 - order[0].quality) + 1e-12
    chosen = tuple(member for member in order if 1 - member.quality <= limit)
    weak = tuple(
        (m.name, f"expected to err more than twice as often as {order[0].name}") for m in order if m not in chosen
    )
    return Panel(chosen, weak)


def distinct(members: Sequence[Member]) -> Panel:
    """One vote a model: the same model at two providers is one backend's opinion, whoever serves it."""
    chosen: dict[str, Member] = {}
    twins: list[tuple[str, str]] = []
    for member in ranked(members):
        first = chosen.setdefault(identity(member.deployment), member)
        if first is not member:
            why = "named twice" if first.name == member.name else f"the same model as {first.name}: one vote"
            twins.append((member.name, why))
    return Panel(tuple(chosen.values()), tuple(twins))


def identity(deployment: Deployment) -> str:
    """What makes two deployments one model: its name across providers, without vendor prefix, case or punctuation."""
    name = deployment.group or deployment.card.id or deployment.model
    return "".join(c for c in name.rsplit("/", 1)[-1].lower() if c.isalnum())


def spread(members: Sequence[Member]) -> list[Member]:
    """Families first: the best of each family, then the second of each. Equals err alike, so they are asked last."""
    seen: dict[str, int] = {}
    turns: list[tuple[int, Member]] = []
    for member in members:
        family = member.deployment.card.family or member.name
        turns.append((seen.get(family, 0), member))
        seen[family] = seen.get(family, 0) + 1
    return [member for _, member in sorted(turns, key=lambda turn: turn[0])]


def cut(panel: Panel, most: int) -> Panel:
    """At most `most` members."""
    over = tuple((m.name, f"more than max_calls = {most}") for m in panel.members[most:])
    return Panel(panel.members[:most], panel.excluded + over)


def punctual(panel: Panel, seconds: Mapping[str, float], limit_s: float | None) -> Panel:
    """Nobody who is known to take longer than the caller will wait; who was never asked gets the benefit of the doubt."""
    if limit_s is None:
        return panel
    slow = {m.name for m in panel.members if seconds.get(m.name, 0.0) > limit_s}
    if len(slow) == len(panel.members):
        return panel
    why = tuple((name, f"takes {seconds[name]:.1f} s, {limit_s:g} s were given") for name in slow)
    return Panel(tuple(m for m in panel.members if m.name not in slow), panel.excluded + why)
