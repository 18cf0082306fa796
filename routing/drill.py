"""Rehearse failures with one's own configuration: the same deployments, played by simulators; no key, no cent, no wait.

A drill runs the same asks twice, calm and in trouble, on the real manager with real breakers, in virtual time.
"""

import random
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal

import anyio

from providers.errors import Billed
from providers.simulator import Conduct, Scenario, SimProvider, parse_fault
from providers.simulator.virtual import VirtualLoop
from providers.types import Answer, Message, Request, Text

from .balancer import RoundRobin
from .envelope import cost_usd
from .errors import Refusal
from .guard import Guards
from .manager import ProviderManager
from .ports import Bill, Cost, Directory, NoPurse
from .settings import RoutingSettings
from .types import Ask, Deployment, Receipt, Resolution

Kind = Literal["kill", "slow", "limit"]
_FAULTS: Mapping[Kind, str] = {"kill": "status:503", "slow": "slow:20", "limit": "retry_after:30"}
CALM = Conduct(latency_s=0.4, tokens_per_s=80)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What happens to a provider: every call fails with 503, takes 20 times as long, or is told to wait 30 s."""

    provider: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Drill:
    """What is rehearsed: `requests` asks for `models` in turn, `per_s` a second."""

    troubles: tuple[Trouble, ...]
    models: tuple[str, ...] = ("auto",)
    requests: int = 200
    per_s: float = 2.0
    prompt: str = "Tell me in two sentences what a provider outage means for a team."
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """How one run went. Seconds and USD; `calls` counts attempts, `served` answers by provider, `failures` by code."""

    requests: int
    answered: int
    calls: int
    latency_p50_s: float
    latency_p95_s: float
    cost_usd: float
    served: Mapping[str, int]
    failures: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Report:
    """Both runs, and what the difference means in words. `slowed`: asks above twice the calm run's p95."""

    drill: Drill
    calm: Run
    troubled: Run
    slowed: int
    findings: tuple[str, ...]


def rehearse(directory: Directory, drill: Drill, settings: RoutingSettings | None = None) -> Report:
    """Run the drill. Blocks for its CPU time only; must not be called from inside an event loop. Raises NoModel."""
    unknown = {t.provider for t in drill.troubles} - {d.provider for d in directory.deployments()}
    if unknown:
        raise ValueError(f"there is no provider {', '.join(sorted(unknown))} in this configuration")
    settings = settings or RoutingSettings()
    calm, calm_s = _run(directory, replace(drill, troubles=()), settings)
    troubled, seconds = _run(directory, drill, settings)
    slowed = sum(s > 2 * calm.latency_p95_s for s in seconds) if calm_s else 0
    return Report(drill, calm, troubled, slowed, tuple(_findings(drill, calm, troubled, slowed)))


def _run(directory: Directory, drill: Drill, settings: RoutingSettings) -> tuple[Run, list[float]]:
    receipts: list[Receipt] = []
    failures: Counter[str] = Counter()

    async def main() -> None:
        clock = anyio.current_time
        balancer, dice = RoundRobin(clock=clock), random.Random(drill.seed)  # noqa: S311 - repeatable is the point
        guards = Guards(watchers=[balancer], clock=clock, rng=dice)
        stage = _Stage(directory, drill)
        manager = ProviderManager(
            stage, settings=settings, purse=_Till(), guard=guards, balancer=balancer, clock=clock, random=dice
        )

        async def one(model: str) -> None:
            request = Request((Message("user", (Text(drill.prompt),)),))
            try:
                receipts.append((await manager.generate(Ask(request, model=model))).receipt)
            except Refusal as error:
                failures[error.code] += 1
                if error.receipt is not None:
                    stage.wasted += len(error.receipt.attempts)

        async with anyio.create_task_group() as group:
            for number in range(drill.requests):
                group.start_soon(one, drill.models[number % len(drill.models)])
                await anyio.sleep(1 / drill.per_s)
        run.append(_summary(drill, receipts, failures, stage.wasted))

    run: list[Run] = []
    anyio.run(main, backend_options={"loop_factory": VirtualLoop})
    return run[0], [receipt.latency_s for receipt in receipts]


def _summary(drill: Drill, receipts: Sequence[Receipt], failures: Counter[str], wasted: int) -> Run:
    seconds = sorted(receipt.latency_s for receipt in receipts)
    return Run(
        requests=drill.requests,
        answered=len(receipts),
        calls=sum(len(receipt.attempts) for receipt in receipts) + wasted,
        latency_p50_s=_share(seconds, 0.5),
        latency_p95_s=_share(seconds, 0.95),
        cost_usd=sum(receipt.cost_usd or 0.0 for receipt in receipts),
        served=dict(Counter(receipt.provider for receipt in receipts).most_common()),
        failures=dict(failures.most_common()),
    )


def _findings(drill: Drill, calm: Run, troubled: Run, slowed: int) -> list[str]:
    what = ", ".join(f"{t.provider} {_DONE[t.kind]}" for t in drill.troubles) or "nothing in trouble"
    lost = troubled.requests - troubled.answered
    found = [f"with {what}, {troubled.answered} of {troubled.requests} asks are answered"]
    if lost > calm.requests - calm.answered:
        found.append(f"{lost} fail ({', '.join(troubled.failures)}): add a provider, a fallback or a group for them")
    if slowed:
        found.append(f"{slowed} take more than twice the calm p95 of {calm.latency_p95_s:.1f} s")
    if calm.cost_usd and abs(change := troubled.cost_usd / calm.cost_usd - 1) > 0.05:
        found.append(f"what they cost changes by {change:+.0%}")
    if len(troubled.served) == 1 and not lost:
        found.append(f"everything then hangs on {next(iter(troubled.served))}")
    return found


_DONE: Mapping[Kind, str] = {"kill": "dead", "slow": "20 times as slow", "limit": "limiting everything"}


class _Stage:
    """The directory with its deployments played: keys are not needed, so nobody is without."""

    def __init__(self, inner: Directory, drill: Drill) -> None:
        self._inner = inner
        troubles: dict[str, Kind] = {t.provider: t.kind for t in drill.troubles}
        self._played = {d.name: _played(d, troubles.get(d.provider), drill.seed) for d in inner.deployments()}
        self.wasted = 0

    def deployments(self) -> Sequence[Deployment]:
        return list(self._played.values())

    def resolve(self, ask: Ask) -> Resolution:
        found = self._inner.resolve(ask)
        return replace(found, steps=tuple(tuple(self._played.get(d.name, d) for d in step) for step in found.steps))


def _played(deployment: Deployment, trouble: Kind | None, seed: int) -> Deployment:
    conduct = CALM if trouble is None else replace(CALM, faults=((parse_fault(_FAULTS[trouble]), 1.0),))
    opener = SimProvider(Scenario(seed, {"*": conduct}))
    status = "available" if deployment.status == "no_key" else deployment.status
    return replace(deployment, opener=opener, status=status)


class _Till(NoPurse):
    """Prices what was used; holds nothing, limits nothing."""

    @asynccontextmanager
    async def hold(self, bill: Bill) -> AsyncGenerator["_Sale"]:
        yield _Sale(bill)


@dataclass(frozen=True, slots=True)
class _Sale:
    bill: Bill

    def settle(self, answer: Answer) -> Cost:
        price = self.bill.deployment.price
        if price is None:
            return Cost(None, "unpriced")
        return Cost(cost_usd(price, max(0, answer.usage.input), max(0, answer.usage.output)), "estimated")

    def abandon(self, billed: Billed, answer: Answer | None) -> Cost:
        return Cost(0.0, "estimated") if billed == "no" or answer is None else self.settle(answer)


def _share(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
