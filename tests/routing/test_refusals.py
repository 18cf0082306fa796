"""What was refused can be looked up by its id: at once here, soon everywhere – and is never an answer."""

from dataclasses import replace

import pytest

from providers.errors import ProxyRefused, Unavailable
from providers.types import Answer
from routing.errors import BudgetExceeded, told_again
from routing.events import Failed, failed
from routing.itinerary import Stop
from routing.journal import Kept
from routing.refusals import A_MINUTE, UNWRITTEN_S, Refusals
from routing.store.archive import Record
from routing.store.codec import pack
from routing.store.sqlite import sqlite
from routing.types import Attempt, Reason, Receipt
from routing.verdict import refusal
from tests.routing.money import NOON, Clock

pytestmark = pytest.mark.anyio
RECEIPT = Receipt("g_1", caller="reader", attempts=(Attempt("p", "m", "timeout"),), at=NOON)
POOR = BudgetExceeded("Too dear for sk-1.", hint="Pay more.", receipt=RECEIPT)


@pytest.fixture
async def store(tmp_path):
    async with sqlite(tmp_path / "plenum.db") as opened:
        yield opened


def refusals(store, clock=None) -> Refusals:
    return Refusals(store.archive, lambda text: text.replace("sk-1", "[key]"), clock or Clock())


def journal(store, kept: Refusals | None = None) -> Kept:
    return Kept(store.archive, store.books, store.archive, kept)


async def test_a_refusals_receipt_says_why_here_at_once_and_elsewhere_with_the_next_write(store):
    kept = refusals(store)
    kept(failed("g_1", POOR))
    here = await journal(store, kept).receipt("g_1", "reader")
    await store.books.tallies(0, NOON)  # waits for what was put off
    there = await journal(store).receipt("g_1", "reader")
    assert here == there == replace(RECEIPT, refusal=Reason("budget_exceeded", "Too dear for [key].", "Pay more."))
    assert await journal(store, kept).receipt("g_1", "another") is None


async def test_a_refusal_is_no_answer_and_nobodys_repetition(store):
    kept = refusals(store)
    for number in range(3):
        kept(failed(f"g_{number}", BudgetExceeded("no", receipt=replace(RECEIPT, id=f"g_{number}"))))
    await store.books.tallies(0, NOON)
    assert await journal(store).answer("g_1", "reader") is None
    assert await store.archive.undelivered("reader", "", 0) is None
    assert (await store.books.habits(0, NOON + 60)).questions == 0
    assert {one.id for one in await journal(store).newest(9)} == {"g_0", "g_1", "g_2"}


async def test_an_answer_takes_the_place_of_the_refusal_before_it_and_no_refusal_that_of_an_answer(store):
    kept, answered = refusals(store), Record("g_1", "reader", NOON + 1, "key", pack(RECEIPT), pack(Answer("yes")))
    kept(failed("g_1", POOR))
    await store.archive.keep(answered).wait()
    kept(failed("g_1", POOR))
    await store.books.tallies(0, NOON)
    assert await journal(store, kept).receipt("g_1", "reader") == RECEIPT
    assert (await journal(store, kept).answer("g_1", "reader")).text == "yes"


async def test_it_is_forgotten_with_the_answers_of_its_age(store):
    clock = Clock()
    kept = refusals(store, clock)
    kept(failed("g_1", POOR))
    await store.books.tallies(0, NOON)
    assert await store.archive.forget_before(NOON + 1).wait() == 1
    clock.now += UNWRITTEN_S
    assert await journal(store, kept).receipt("g_1", "reader") is None


async def test_so_many_a_minute_are_kept_and_no_more(store):
    clock = Clock()
    kept = refusals(store, clock)
    for number in range(A_MINUTE * 3):
        kept(Failed(f"g_{number}", "policy", Receipt(f"g_{number}")))
    await store.books.tallies(0, NOON)
    assert len(await journal(store).newest(1000)) == A_MINUTE
    clock.now += 60
    kept(Failed("g_later", "policy", Receipt("g_later")))
    await store.books.tallies(0, NOON)
    assert await journal(store).receipt("g_later", "local") is not None


async def test_why_a_handle_came_to_nothing_is_durable_and_keeps_what_the_receipt_knew(store):
    kept = refusals(store)
    kept(failed("g_1", POOR))
    await journal(store, kept).refuse("g_1", "reader", Reason("policy", "Not allowed.", "Ask the owner."))
    await journal(store, kept).refuse("t_2", "reader", Reason("timeout", "Too late."))
    first, second = [await journal(store).receipt(id, "reader") for id in ("g_1", "t_2")]
    assert first.attempts == RECEIPT.attempts and first.refusal.code == "policy"
    assert second.refusal == Reason("timeout", "Too late.")


async def test_a_mark_to_stop_is_seen_by_who_works_on_it(store):
    one, two = journal(store), journal(store)
    await one.begin("t_1", "reader")
    assert not await one.stopped("t_1", "reader")
    await two.stop("t_1", "reader")
    await two.stop("t_1", "reader")
    assert await one.stopped("t_1", "reader")
    assert not await one.stopped("t_1", "another") and not await one.stopped("t_2", "reader")


@pytest.mark.parametrize("code", ["invalid_request", "budget_exceeded", "policy", "timeout", "of a later version"])
def test_a_kept_reason_is_told_as_the_refusal_it_was(code):
    again = told_again(Reason(code, "No.", "Do."), RECEIPT)
    assert (again.message, again.hint, again.receipt) == ("No.", "Do.", RECEIPT)
    assert again.code == (code if " " not in code else "provider_failed")


@pytest.mark.parametrize(("status", "helps"), [(407, "user name and password into HTTPS_PROXY"), (403, "NO_PROXY")])
def test_where_only_a_proxy_refused_the_hint_is_to_its_operator(status, helps):
    gone, barred = ProxyRefused(status), ProxyRefused(status)
    refused = refusal([gone, barred], Stop("exhausted"), RECEIPT, ())
    assert refused.code == "provider_failed" and helps in refused.hint
    mixed = refusal([gone, Unavailable("The provider cannot answer now.")], Stop("exhausted"), RECEIPT, ())
    assert "PROXY" not in mixed.hint
