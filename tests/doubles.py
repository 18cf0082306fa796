"""What tests above the simulator share: a directory of fixed steps, deployments that are programs, asks, and an act at any await."""

import types
from collections.abc import Sequence

from providers.simulator import Conduct, Scenario, SimProvider, parse_fault
from providers.types import Message, ModelCard, Price, Request, Text
from routing.types import Ask, Deployment, Resolution

ABLE = frozenset({"streaming", "tools", "json", "vision", "reasoning", "sampling"})


class Listed:
    """A directory whose every name stands for the same steps."""

    def __init__(self, *steps: Sequence[Deployment], auto: bool = True) -> None:
        self.steps = tuple(tuple(step) for step in steps)
        self.auto = auto

    def deployments(self) -> Sequence[Deployment]:
        return [d for step in self.steps for d in step]

    def resolve(self, ask: Ask) -> Resolution:
        return Resolution(ask.model, self.steps, exact=not self.auto, auto=self.auto)


def conduct(*faults: str, rate: float = 1.0, **known) -> Conduct:
    """Each fault at the same rate."""
    return Conduct(faults=tuple((parse_fault(fault), rate) for fault in faults), **known)


def sim(
    provider: str, behaviour: Conduct = Conduct(), *, seed: int = 0, silence_s: float = 60.0, **known
) -> Deployment:
    """`provider/m` played by the simulator; its family is the provider's name."""
    opener = SimProvider(Scenario(seed, {"*": behaviour}), silence_s=silence_s)
    card = ModelCard("m", family=provider, context_window=128_000, max_output=16_384, capabilities=ABLE)
    defaults = {"card": card, "price": Price(1.0, 2.0), "endpoint": provider, "model": "m", "simulated": True}
    return Deployment(provider=provider, opener=opener, **{**defaults, **known})


def ask(text: str = "What is 2+3?", **known) -> Ask:
    """Settings of the request are passed as `request={...}`."""
    request = known.pop("request", {})
    return Ask(Request((Message("user", (Text(text),)),), **request), **known)


@types.coroutine
def stepped(coroutine, at, act):
    """Await `coroutine`, and act when it suspends for the `at`-th time."""
    inner, suspensions = coroutine.__await__(), 0
    step, value = inner.send, None
    while True:
        try:
            signal = step(value)
        except StopIteration as end:
            return end.value
        suspensions += 1
        if suspensions == at:
            act()
        try:
            step, value = inner.send, (yield signal)
        except BaseException as error:
            step, value = inner.throw, error
