"""The life of one request, on the simulator in process."""

from collections.abc import Sequence

import pytest

from providers.simulator import Conduct, Scenario, SimProvider, card, parse_fault
from providers.types import Message, Price, Request, Text
from routing.events import Event
from routing.manager import ProviderManager
from routing.types import Ask, Deployment, Resolution

pytestmark = pytest.mark.anyio


class Listed:
    """A directory of one name: all deployments, in steps."""

    def __init__(self, *steps: Sequence[Deployment], exact: bool = False) -> None:
        self.steps = tuple(tuple(step) for step in steps)
        self.exact = exact

    def deployments(self) -> Sequence[Deployment]:
        return [d for step in self.steps for d in step]

    def resolve(self, ask: Ask) -> Resolution:
        return Resolution(ask.model, self.steps, exact=self.exact, auto=not self.exact)


def sim(provider: str, fault: str | None = None, **known) -> Deployment:
    conduct = Conduct(faults=((parse_fault(fault), 1.0),)) if fault else Conduct()
    opener = SimProvider(Scenario(models={"*": conduct}), silence_s=0.01)
    defaults = {"card": card("fast"), "price": Price(1.0, 2.0), "endpoint": provider}
    return Deployment(provider=provider, model="m", opener=opener, **{**defaults, **known})


def ask(text: str = "What is 2+3?", **known) -> Ask:
    return Ask(Request((Message("user", (Text(text),)),)), **known)


async def test_an_answer_comes_with_a_complete_receipt():
    events: list[Event] = []
    result = await ProviderManager(Listed([sim("a")]), observer=events.append).generate(ask())
    receipt = result.receipt
    assert "5" in result.answer.text
    assert (receipt.provider, receipt.model, receipt.finish_reason) == ("a", "m", "stop")
    assert [attempt.outcome for attempt in receipt.attempts] == ["ok"]
    assert receipt.ttft_s is not None and receipt.latency_s >= receipt.ttft_s
    assert any("max_tokens was not given" in warning for warning in receipt.warnings)
    assert [type(event).__name__ for event in events] == ["Decided", "AttemptStarted", "AttemptEnded", "Answered"]
