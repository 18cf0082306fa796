"""Experiments around a manager: a split changes what an ask becomes, a shadow is asked after its caller has the answer.

Above: tools and the HTTP doors, to whom this is the manager. Fusions go by the manager beneath: a panel is no traffic.
"""

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from ..errors import Refusal
from ..events import Tell, silent
from ..manager import new_id
from ..prepared import Step
from ..store.trials import Arm, Trial, Trials
from ..types import NANO, Ask, Receipt, Result
from .agreement import agreement
from .aside import Aside
from .assignment import Experiment, shadows_for, split_for

# Outcomes of attempts whose answer met no contract.
BROKEN = frozenset({"malformed", "truncated", "content_refused", "empty", "cut_short", "wrong_schema", "bad_arguments"})
TELLING = frozenset({"provider_failed", "timeout", "content_refused", "context_too_long"})  # the arm's own doing


class Manager(Protocol):
    """The manager beneath (`routing.manager.ProviderManager`)."""

    async def generate(self, ask: Ask, tell: Tell = silent) -> Result: ...

    def stream(self, ask: Ask) -> AbstractAsyncContextManager[Any]: ...

    async def explain(self, ask: Ask) -> Receipt: ...


@dataclass(frozen=True, slots=True)
class Shadowing:
    """How shadows are asked: beside the requests, as their caller may ask (`prepare`), where that takes no place."""

    aside: Aside
    prepare: Step
    room: Callable[[Receipt], bool]


@dataclass(frozen=True, slots=True)
class Part:
    """What an ask takes part in."""

    ask: Ask
    split: Experiment | None = None
    arm: Arm = "control"
    shadows: tuple[Experiment, ...] = ()


class Laboratory:
    """A manager that experiments. Never delays an answer, and changes one only where a split says so."""

    def __init__(
        self,
        manager: Manager,
        experiments: Sequence[Experiment],
        trials: Trials,
        shadowing: Shadowing,
        *,
        wall: Callable[[], float] = time.time,
        ids: Callable[[], str] = new_id,
    ) -> None:
        self._manager = manager
        self._experiments = tuple(experiments)
        self._trials = trials
        self._shadowing = shadowing
        self._wall = wall
        self._ids = ids

    async def generate(self, ask: Ask, tell: Tell = silent) -> Result:
        """As the manager beneath; of a split by whichever arm the ask was drawn for."""
        part = await self._part(ask)
        try:
            result = await self._manager.generate(part.ask, tell)
        except Refusal as refusal:
            self._ended(part, refusal)
            raise
        self._ended(part, result)
        return result

    def stream(self, ask: Ask) -> AbstractAsyncContextManager[Any]:
        """As the manager beneath."""
        return self._stream(ask)

    async def explain(self, ask: Ask) -> Receipt:
        """What would be done, by this ask's own arm."""
        return await self._manager.explain((await self._part(ask)).ask)

    @asynccontextmanager
    async def _stream(self, ask: Ask) -> AsyncGenerator[Any]:
        part = await self._part(ask)
        try:
            async with self._manager.stream(part.ask) as live:
                yield live
        except Refusal as refusal:
            self._ended(part, refusal)
            raise
        try:
            result = live.result
        except RuntimeError:  # its caller left before the end: neither well nor ill
            return
        self._ended(part, result)

    async def _part(self, ask: Ask) -> Part:
        split, shadows = split_for(self._experiments, ask), shadows_for(self._experiments, ask)
        if split is None:
            return Part(ask, shadows=shadows)
        arm: Arm = await self._sticky(split, ask) or ("arm" if split.draws(ask) else "control")
        if arm == "arm":
            said = f"experiment {split.name}: this request was drawn for {split.arm}"
            ask = split.armed(replace(ask, warnings=(*ask.warnings, said)))
            shadows = ()  # a shadow stands beside what Plenum does, not beside another trial
        return Part(ask, split, arm, shadows)

    async def _sticky(self, split: Experiment, ask: Ask) -> Arm | None:
        """A conversation stays with the arm it began with."""
        return await self._trials.arm(split.name, ask.conversation) if ask.conversation else None

    def _ended(self, part: Part, outcome: Result | Refusal) -> None:
        """Write down what was tried; what came from memory was not. Then look at what others would have said."""
        if isinstance(outcome, Result) and outcome.receipt.cached != "no":
            return
        if isinstance(outcome, Refusal) and outcome.code not in TELLING:
            return
        if part.split is not None:
            self._trials.note(_trial(part.split, part.arm, outcome, self._wall()))
        for experiment in part.shadows:
            self._shadowing.aside.offer(partial(self._shadow, experiment, part.ask, outcome))

    async def _shadow(self, experiment: Experiment, ask: Ask, seen: Result | Refusal) -> None:
        """Ask the arm; both rows are written, or none: a pair is a pair."""
        outcome = await self._asked(experiment, ask)
        if outcome is None or (isinstance(outcome, Refusal) and outcome.code not in TELLING):
            self._shadowing.aside.left_out += 1
            return
        now = self._wall()
        control = _trial(experiment, "control", seen, now)
        trial = replace(_trial(experiment, "arm", outcome, now), pair=control.id)
        if isinstance(seen, Result) and isinstance(outcome, Result):
            share, basis = agreement(ask.request, seen.answer, outcome.answer)
            trial = replace(trial, agreement=share, basis=basis)
        self._trials.note(replace(control, pair=control.id))
        self._trials.note(trial)

    async def _asked(self, experiment: Experiment, ask: Ask) -> Result | Refusal | None:
        """What the arm says; None where this caller may not ask it, or not now."""
        try:
            shadow = experiment.shadowed(await self._shadowing.prepare(ask), f"x_{self._ids()}")
            if not self._shadowing.room(await self._manager.explain(shadow)):
                return None
        except Refusal:
            return None
        try:
            return await self._manager.generate(shadow)
        except Refusal as refusal:
            return refusal


def _trial(experiment: Experiment, arm: Arm, outcome: Result | Refusal, at: float) -> Trial:
    receipt = outcome.receipt or Receipt("")
    failed = outcome if isinstance(outcome, Refusal) else None
    return Trial(
        experiment.name,
        receipt.id,
        arm,
        at,
        model=f"{receipt.provider}/{receipt.model}" if receipt.model else "",
        ok=failed is None,
        code=failed.code if failed else "",
        nano=None if receipt.cost_usd is None else round(receipt.cost_usd * NANO),
        latency_s=receipt.latency_s,
        faults=sum(attempt.outcome in BROKEN for attempt in receipt.attempts),
        pair="",
    )
