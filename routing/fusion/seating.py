"""Who may sit on the panel: names become deployments the manager would use now, each with its expected accuracy.

Above: `fusion.py`. Below: the directory, and the manager's own `explain`, so that filters are known in one place only.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from ..errors import NoModel, Refusal
from ..ports import Directory
from ..tasks import classify
from ..types import Ask, Deployment, Receipt
from .ask import Course
from .calibration import Lessons
from .panel import Panel, admitted, cut, distinct, identity, punctual, ranked, spread
from .types import Member

Explain = Callable[[Ask], Awaitable[Receipt]]


class Seating:
    """Chooses panels."""

    def __init__(
        self, directory: Directory, explain: Explain, lessons: Lessons, latency_s: Mapping[str, float]
    ) -> None:
        self._directory = directory
        self._explain = explain
        self._lessons = lessons
        self._latency_s = latency_s

    async def seat(self, ask: Ask, names: Sequence[str], course: Course) -> tuple[Panel, tuple[Member, ...]]:
        """The panel, best first, and everybody who could have been on it. Raises the refusal that leaves nobody."""
        found: list[Member] = []
        excluded: list[tuple[str, str]] = []
        nobody: Refusal | None = None
        for name in dict.fromkeys(names):
            try:
                found += await self._members(ask, name)
            except Refusal as refusal:
                nobody = refusal
                excluded.append((name, refusal.message))
        excluded += [(name, "named twice") for name in set(names) if list(names).count(name) > 1]
        if not found:
            raise nobody or NoModel("nobody could be asked")
        panel = distinct(found)
        if "auto" in names:
            panel = _both(panel, admitted(panel.members))
            panel = replace(panel, members=tuple(spread(panel.members)))
        panel = cut(punctual(panel, self._latency_s, ask.max_latency_s), course.max_calls)
        members = tuple(ranked(panel.members))
        return Panel(members, (*excluded, *panel.excluded)), tuple(ranked(found))

    async def named(self, ask: Ask, name: str) -> Member:
        """The one member a name stands for. Raises NoModel."""
        return (await self._members(ask, name))[0]

    async def _members(self, ask: Ask, name: str) -> list[Member]:
        """What a name stands for now, the manager's first choice first."""
        wanted = replace(ask, model=name, strategy="quality", max_cost_usd=None)
        receipt = await self._explain(wanted)
        resolution = self._directory.resolve(wanted)
        kind = classify(ask.request, resolution.kind).kind
        known = {d.name: d for step in resolution.steps for d in step}
        own = {d.name for d in resolution.steps[0]}
        ready = [known[candidate] for candidate, _ in receipt.candidates if candidate in known]
        chosen = [d for d in ready if d.name in own] or ready[:1]
        if not chosen:
            raise NoModel(f"{name} may not be asked now")
        return [Member(d, self._quality(d, kind)) for d in chosen]

    def _quality(self, deployment: Deployment, kind: str) -> float:
        quality = deployment.card.quality
        prior = quality.get(kind, quality.get("default", 0.5))
        return self._lessons.quality(identity(deployment), kind, prior)


def _both(one: Panel, other: Panel) -> Panel:
    return Panel(other.members, one.excluded + other.excluded)
