"""Embeddings take the manager's road: retried, never shopped to another model, refused where nobody embeds."""

import pytest

from providers.errors import BadRequest, Unavailable
from providers.types import Embeddings as Vectors
from providers.types import ModelCard, Price, Request, Usage
from routing.embedding import Embeddings
from routing.errors import InvalidRequest, NoModel, ProvidersFailed
from routing.manager import ProviderManager
from routing.settings import RetrySettings, RoutingSettings
from routing.types import Ask, Deployment, Resolution

pytestmark = pytest.mark.anyio


class Embedder:
    """Fails as scripted, then embeds."""

    def __init__(self, *faults: Exception, short: bool = False) -> None:
        self.faults = list(faults)
        self.short = short
        self.calls = 0

    def open(self, request, model):
        raise AssertionError("nobody asks an embedder for words")

    async def embed(self, texts, model):
        self.calls += 1
        if self.faults:
            raise self.faults.pop(0)
        kept = texts[:-1] if self.short else texts
        return Vectors(tuple((float(len(t)),) for t in kept), Usage(input=len(texts)), model)


class Here:
    def __init__(self, *deployments: Deployment) -> None:
        self.all = deployments

    def deployments(self):
        return self.all

    def resolve(self, ask):
        steps = tuple((d,) for d in self.all if d.model == ask.model or ask.model == "all")
        return Resolution(ask.model, steps)


def at(provider: str, opener, model: str = "m", **card) -> Deployment:
    card = ModelCard(model, **{"capabilities": frozenset({"embeddings"}), **card})
    return Deployment(provider, model, provider, card, Price(1.0, 0.0), opener, group=model)


def house(*deployments: Deployment, default: str | None = None) -> Embeddings:
    settings = RoutingSettings(retry=RetrySettings(attempts=3, base_s=0.0, max_s=0.0))
    return Embeddings(Here(*deployments), lambda d: ProviderManager(d, settings=settings), default)


def ask(model: str = "m") -> Ask:
    return Ask(Request(()), model=model)


async def test_an_outage_goes_to_the_same_model_elsewhere_and_the_receipt_tells() -> None:
    broken, well = Embedder(*[Unavailable("down")] * 9), Embedder()
    found, receipt = await house(at("a", broken), at("b", well)).embed(["x", "yy"], ask())
    assert found.vectors == ((1.0,), (2.0,))
    assert (receipt.provider, receipt.usage.input) == ("b", 2)
    assert [a.outcome for a in receipt.attempts] == ["unavailable", "ok"]


async def test_another_model_never_serves_because_its_vectors_cannot_be_compared() -> None:
    other = Embedder()
    broken = Embedder(*[Unavailable("down")] * 9)
    with pytest.raises(ProvidersFailed):
        await house(at("a", broken, "m"), at("b", other, "n")).embed(["x"], ask("all"))
    assert other.calls == 0 and broken.calls > 0


async def test_a_provider_that_loses_a_text_is_not_believed() -> None:
    with pytest.raises(ProvidersFailed):
        await house(at("a", Embedder(short=True))).embed(["x", "y"], ask())


async def test_the_callers_fault_is_told_once() -> None:
    bad = Embedder(BadRequest("no"))
    with pytest.raises(InvalidRequest):
        await house(at("a", bad)).embed(["x"], ask())
    assert bad.calls == 1


async def test_texts_beyond_the_window_of_one_may_fill_those_of_many() -> None:
    small = at("a", Embedder(), context_window=600)
    found, _ = await house(small).embed(["word " * 80] * 8, ask())
    assert len(found.vectors) == 8


async def test_who_names_no_model_gets_the_configured_one_or_a_reason() -> None:
    found, _ = await house(at("a", Embedder()), default="m").embed(["x"], ask("auto"))
    assert found.vectors
    with pytest.raises(NoModel, match="no embedding model"):
        await house(at("a", Embedder())).embed(["x"], ask("auto"))
    with pytest.raises(NoModel, match="makes no embeddings"):
        await house(at("a", Embedder(), capabilities=frozenset({"streaming"}))).embed(["x"], ask())
