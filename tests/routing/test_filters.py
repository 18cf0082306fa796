"""Who may serve at all, and the reason told where not."""

import pytest
from doubles import ask, sim

from providers.types import Image, Message, ModelCard, Price, Request, Tool
from routing.envelope import ByteCount
from routing.filters import Filters, Sizes, nearest, needs, output_cap
from routing.ports import NoGate, NoGuard, NoPurse
from routing.settings import RoutingSettings
from routing.types import Ask, Exclusion


def excluded(deployment, asked=None, settings=None, *, named=False, kind="text", gate=None, guard=None):
    """The exclusion of one deployment, None if it is admitted."""
    asked = asked or ask()
    filters = Filters(settings or RoutingSettings(), NoPurse(), gate or NoGate(), guard or NoGuard())
    wanted = needs(asked, kind=kind, left_s=60.0, spent_usd=0.0, named=named)
    sizes = Sizes(asked.request, ByteCount())
    out: dict[str, Exclusion] = {}
    admitted = filters.admit([deployment], wanted, sizes, out)
    return out.get(deployment.name) or (filters.held(deployment, wanted, sizes) if admitted else None)


PICTURE = Ask(Request((Message("user", (Image("image/png", b"x"),)),)))
TOOLED = ask(request={"tools": (Tool("f", "", {}),)})
PLAIN = frozenset({"streaming"})


@pytest.mark.parametrize(
    ("deployment", "asked", "code", "why"),
    [
        (sim("a", status="no_key"), ask(), "authentication", "no key"),
        (sim("a", status="retired", card=ModelCard("m", replaced_by="m2")), ask(), "no_model", "today's is m2"),
        (sim("a"), ask(local_only=True), "policy", "may not leave the machine"),
        (sim("a"), ask(allowed_models=("gpt-*",)), "policy", "token does not allow"),
        (sim("a", card=ModelCard("m", capabilities=PLAIN)), PICTURE, "no_model", "no vision"),
        (sim("a", card=ModelCard("m", capabilities=PLAIN)), TOOLED, "no_model", "no tools"),
        (sim("a"), ask(require=frozenset({"embeddings"})), "no_model", "no embeddings"),
        (sim("a"), ask(exclude_families=frozenset({"a"})), "no_model", "family a is excluded"),
        (sim("a"), ask(min_quality=0.6), "no_model", "quality at text is 0.50, below 0.60"),
        (sim("a", price=Price(1, 60)), ask(), "no_model", "routing.max_price"),
        (sim("a", card=ModelCard("m", context_window=300)), ask("x" * 1_000), "context_too_long", "window of 300"),
        (sim("a", card=ModelCard("m", max_input=50)), ask("x" * 1_000), "context_too_long", "input limit of 50"),
        (sim("a"), ask(max_cost_usd=0.0001), "budget_exceeded", "is left"),
    ],
)
def test_a_deployment_that_may_not_serve_is_excluded_with_its_reason(deployment, asked, code, why):
    found = excluded(deployment, asked)
    assert found is not None
    assert (found.code, why in found.why) == (code, True), found.why


@pytest.mark.parametrize(
    ("deployment", "asked", "known"),
    [
        (sim("a"), ask(), {}),
        (sim("a", local=True), ask(local_only=True), {}),
        (sim("a"), ask(allowed_models=("a/*",)), {}),
        (sim("a"), ask(allowed_models=("m",)), {}),
        (sim("a", price=Price(1, 60)), ask(), {"named": True}),
        (sim("a", price=None), ask(max_cost_usd=0.0001), {}),
        (sim("a"), ask(min_quality=0.5), {}),
    ],
)
def test_a_deployment_that_may_serve_is_admitted(deployment, asked, known):
    assert excluded(deployment, asked, **known) is None


def test_regions_hold_for_remote_deployments_only():
    europe = RoutingSettings(allowed_regions=frozenset({"eu"}))
    assert excluded(sim("a", region="us"), settings=europe).code == "policy"
    assert excluded(sim("a", region="eu"), settings=europe) is None
    assert excluded(sim("a", local=True), settings=europe) is None


def test_where_unpriced_models_are_refused_they_are():
    assert excluded(sim("a", price=None), settings=RoutingSettings(unpriced=False)).code == "budget_exceeded"


def test_what_is_remembered_of_a_deployment_ends_with_it():
    filters = Filters(RoutingSettings(), NoPurse(), NoGate(), NoGuard())
    wanted = needs(ask(), kind="text", left_s=60.0, spent_usd=0.0, named=False)
    for status, admitted in [("no_key", 0), ("available", 1)]:
        found = filters.admit([sim("a", status=status)], wanted, Sizes(ask().request, ByteCount()), {})
        assert len(found) == admitted


def test_one_that_is_too_narrow_or_too_dear_is_alone_left_out():
    class Purse(NoPurse):
        def room_usd(self, ask, deployment=None):
            return 0.01 if deployment is None or deployment.provider == "poor" else 100.0

    narrow = ModelCard("n", context_window=300)
    step = (sim("a"), sim("narrow", card=narrow), sim("poor", price=Price(1.0, 45.0)), sim("b"))
    filters = Filters(RoutingSettings(), Purse(), NoGate(), NoGuard())
    wanted = needs(ask("x" * 300), kind="text", left_s=60.0, spent_usd=0.0, named=False)
    out: dict[str, Exclusion] = {}
    found = filters.admit(step, wanted, Sizes(wanted.ask.request, ByteCount()), out)
    assert [d.provider for d in found] == ["a", "b"]
    assert {name: e.code for name, e in out.items()} == {"narrow/m": "context_too_long", "poor/m": "budget_exceeded"}


def test_a_held_deployment_says_when_it_returns():
    class Held(NoGuard):
        def blocked(self, deployment):
            return "circuit open", 12.0

    class Full(NoGate):
        def wait_s(self, deployment, tokens):
            return 90.0

    assert excluded(sim("a"), guard=Held()).returns_s == 12.0
    full = excluded(sim("a"), gate=Full())
    assert (full.code, full.returns_s) == ("rate_limited", 90.0)


@pytest.mark.parametrize(
    ("card", "reasoning", "money", "sent"),
    [
        (ModelCard("m", max_output=100_000), None, None, 8_192),
        (ModelCard("m", max_output=100_000, capabilities=frozenset({"reasoning"})), None, None, 32_768),
        (ModelCard("m", max_output=100_000, capabilities=frozenset({"reasoning"})), "none", None, 8_192),
        (ModelCard("m", max_output=4_000), None, None, 4_000),
        (ModelCard("m", max_output=100_000), None, 0.002, 986),
        (ModelCard("m", max_output=100_000), None, 0.0001, 256),
    ],
)
def test_unset_max_tokens_become_the_least_of_card_default_and_money(card, reasoning, money, sent):
    asked = ask(request={"reasoning": reasoning}, max_cost_usd=money)
    wanted = needs(asked, kind="text", left_s=60.0, spent_usd=0.0, named=False)
    assert output_cap(sim("a", card=card), wanted, Sizes(asked.request, ByteCount()), None) == sent


def test_the_nearest_exclusions_are_those_that_return_soonest_then_those_that_failed_last():
    known = [("no_model", None), ("rate_limited", 9.0), ("budget_exceeded", None), ("provider_failed", 3.0)]
    all_ = {f"{n}": Exclusion(sim(f"p{n}"), "x", at, code) for n, (code, at) in enumerate(known)}
    assert [e.code for e in nearest(all_)] == ["provider_failed", "rate_limited", "budget_exceeded", "no_model"]
    assert len(nearest(all_, limit=2)) == 2
