"""How long it takes to decide among 40 deployments: filter, rank, prune, balance. Beside a calibrated unit of work.

`python -m bench.decision [--json]`. Target on the reference machine: 150 µs. The unit is sorting 1,000 fixed floats in
pure CPython; only the ratio is comparable between machines.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from functools import partial

from providers.catalog.tokens import Counter
from providers.simulator import SimProvider
from providers.types import Message, ModelCard, Price, Request, Text
from routing.balancer import RoundRobin
from routing.decision import Chooser
from routing.filters import Filters
from routing.guard import Guards
from routing.ports import NoGate, NoPurse
from routing.settings import RoutingSettings
from routing.signals import Traffic
from routing.types import Ask, Deployment, Resolution

ROUNDS, CALLS = 30, 60
ABLE = frozenset({"streaming", "tools", "json", "reasoning", "sampling"})
ASK = Ask(Request((Message("user", (Text("What is 2+3? " * 20),)),)))


class Forty:
    """Forty deployments of ten families at eight providers, none like another."""

    def __init__(self) -> None:
        dice = random.Random(1)
        opener = SimProvider()
        self.all = tuple(
            Deployment(
                provider=f"p{number % 8}",
                model=f"m{number}",
                endpoint=f"p{number % 8}",
                card=ModelCard(
                    f"m{number}",
                    family=f"f{number % 10}",
                    context_window=128_000,
                    max_output=8_192,
                    capabilities=ABLE,
                    quality={"default": dice.uniform(0.3, 0.95)},
                ),
                price=Price(dice.uniform(0.1, 5), dice.uniform(0.4, 20)),
                opener=opener,
            )
            for number in range(40)
        )

    def deployments(self) -> tuple[Deployment, ...]:
        return self.all

    def resolve(self, ask: Ask) -> Resolution:
        return Resolution(ask.model, (self.all,), auto=True)


def chooser() -> Chooser:
    """Guards and a balancer as in the product; every deployment has been used."""
    clock, directory = time.monotonic, Forty()
    traffic, balancer = Traffic(clock), RoundRobin(clock=clock)
    dice = random.Random(2)
    for deployment in directory.all:
        traffic.answered(deployment.name, dice.uniform(0.5, 5), dice.uniform(0.1, 1), 200)
    filters = Filters(RoutingSettings(), NoPurse(), NoGate(), Guards(watchers=[balancer], clock=clock))
    return Chooser(directory, RoutingSettings(), filters, traffic, Counter(), balancer)


def unit() -> None:
    """The calibrated unit of work."""
    sorted(_FLOATS)


_DICE = random.Random(3)
_FLOATS = [_DICE.random() for _ in range(1000)]


def microseconds(work: Callable[[], object], calls: int = CALLS) -> float:
    """CPU of one call, the mean of this round."""
    begun = time.process_time()
    for _ in range(calls):
        work()
    return (time.process_time() - begun) / calls * 1e6


def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """Interleaved rounds, medians."""
    ready = chooser()
    decide = partial(ready.decide, ASK, 120.0, 0.0)
    decide()
    floor, found = [], []
    for _ in range(rounds):
        floor.append(microseconds(unit))
        found.append(microseconds(decide))
    unit_us, decision_us = statistics.median(floor), statistics.median(found)
    return {"unit_us": unit_us, "decision_us": decision_us, "ratio": decision_us / unit_us}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    result = measure()
    if parser.parse_args().json:
        print(json.dumps(result))
    else:
        print(f"decision over 40: {result['decision_us']:.0f} µs ({result['ratio']:.1f} x sorting 1,000 floats)")


if __name__ == "__main__":
    main()
