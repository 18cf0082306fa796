"""Yesterday under another strategy: the house's own decision, prices as they are, and what is not known is said."""

from datetime import date
from random import Random

import pytest
from doubles import sim

from providers.types import Message, ModelCard, Price, Text, Usage
from routing.conversations import Turn
from routing.directory import Names, Naming
from routing.errors import InvalidRequest
from routing.experiments.replay import ENOUGH, replayed
from routing.settings import RoutingSettings
from routing.store.codec import pack
from routing.store.trials import Past
from routing.types import Attempt, Exclusion, Receipt


def deployment(name: str, usd: float, quality: float):
    card = ModelCard("m", family=name, context_window=128_000, max_output=8_192, quality={"default": quality})
    return sim(name, card=card, price=Price(usd, usd), simulated=False)


DEAR, CHEAP = deployment("dear", 10.0, 0.9), deployment("cheap", 1.0, 0.6)


def directory(*deployments):
    return Names(deployments or (DEAR, CHEAP), Naming(), today=lambda: date(2026, 11, 21))


def past(by=DEAR, *, asked: str = "auto", output: int = 100, seconds: float = 2.0, said: str = "Hello", **more) -> Past:
    usage = Usage(input=1000, output=output)
    usd = (usage.input + usage.output) * by.price.input / 1e6
    attempt = Attempt(by.provider, by.model, "ok", "", seconds, usd, usage=usage)
    known = {"attempts": (attempt,), "cost_usd": usd, "latency_s": seconds, **more}
    receipt = Receipt(known.pop("id", "g_1"), provider=by.provider, model=by.model, usage=usage, **known)
    return Past(pack(receipt), pack(Turn((Message("user", (Text(said),)),))) if said else None, asked)


def asked(*rows: Past, strategy: str = "cost", house=None):
    return replayed(rows, strategy, house or directory(), RoutingSettings())


def test_the_cheap_one_would_have_served_at_its_own_price_and_length() -> None:
    rng = Random(1)
    dear = [past(output=rng.randrange(80, 120)) for _ in range(40)]
    cheap = [past(CHEAP, output=rng.randrange(160, 240), seconds=0.5) for _ in range(40)]
    found = asked(*dear, *cheap)
    assert (found.asks, found.same) == (80, 40)
    assert found.moves == (("dear/m", "cheap/m", 40),)
    assert found.actual_usd == pytest.approx(sum((1000 + 100) * 10 for _ in dear) / 1e6 + 40 * 1200 / 1e6, rel=0.03)
    # 40 moved at 1,200 tokens each (twice the length was seen), 40 stayed
    assert found.usd.value == pytest.approx(80 * 1200 / 1e6, rel=0.03)
    assert found.usd.low < found.usd.value < found.usd.high < found.actual_usd
    assert (found.timed, found.seconds) == (80, pytest.approx(0.5))
    assert found.quality == (pytest.approx(0.75), pytest.approx(0.6))


def test_who_was_never_seen_is_assumed_half_to_twice_as_long_and_said_so() -> None:
    found = asked(*[past() for _ in range(ENOUGH)])
    assert found.usd.low == pytest.approx(ENOUGH * 1050 / 1e6)
    assert found.usd.high == pytest.approx(ENOUGH * 1200 / 1e6)
    assert found.timed == 0 and found.seconds is None
    assert any("cheap/m" in words and "assumed" in words for words in found.caveats)
    assert "nobody asked them" in found.caveats[0]


def test_the_strategy_in_force_changes_nothing() -> None:
    found = asked(*[past() for _ in range(5)], strategy="quality")
    assert (found.same, found.moves) == (5, ())
    assert found.usd.value == found.usd.low == found.usd.high == pytest.approx(found.actual_usd)


def test_who_was_held_back_or_failed_then_is_not_chosen_now() -> None:
    held = past(excluded=(Exclusion(CHEAP, "its breaker is open", 3.0, "provider_failed"),))
    tried = past(attempts=(Attempt("cheap", "m", "timeout", "", 1.0, 0.5), Attempt("dear", "m", "ok", "", 1.0, 0.1)))
    merely_dear = past(DEAR, excluded=(Exclusion(CHEAP, "worse by its score", None, "no_model"),))
    assert asked(held).same == asked(tried).same == 1
    assert asked(merely_dear).same == 0


def test_who_named_a_model_keeps_it() -> None:
    found = asked(past(asked="dear/m"))
    assert (found.asks, found.same) == (1, 1)


def test_what_cannot_be_decided_anew_is_counted_not_guessed() -> None:
    memory, lost = past(cached="exact"), Past(b"junk", None, "auto")
    found = asked(memory, lost, past(id="f_9"), past(asked="gone/away"), past(said=""))
    assert found.left_out == {"from memory": 1, "without an answer": 1, "of a fusion": 1, "asked for what is gone": 1}
    assert found.asks == 1


def test_an_unpriced_model_is_in_no_sum() -> None:
    free = sim("free", price=None, simulated=False)
    found = replayed([past()], "quality", directory(free), RoutingSettings())
    assert found.asks == 1 and found.actual_usd == 0.0
    assert any("a price is not known" in words for words in found.caveats)


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        asked(past(), strategy="magic")
