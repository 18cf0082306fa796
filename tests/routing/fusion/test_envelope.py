"""Money: one envelope for the whole tree; a budget that ends in mid-panel leaves an answer that says so. Real ledger."""

import pytest
from fusion_house import said
from money import rows, tracker

from providers.types import Price
from routing.errors import BudgetExceeded
from routing.fusion.ask import FusionSettings
from routing.fusion.calibration import Taught
from routing.fusion.feedback import mark
from routing.journal import Kept
from routing.recall import Replay
from routing.store.sqlite import sqlite

pytestmark = pytest.mark.anyio
PANEL = {f"p{n}": said(f"The answer is ({letter}).", 0.0) for n, letter in enumerate("ABCAB")}
DEAR = {name: {"price": Price(10.0, 50.0)} for name in PANEL}  # 100 + 50 tokens: $0.0035 a call, held at about $0.01
NO_REPAIR = FusionSettings(repair=False)


@pytest.fixture
def anyio_backend():
    """Real time: the ledger writes in a thread."""
    return "asyncio"


async def test_a_budget_that_ends_in_mid_panel_fuses_what_is_there_and_says_so(house, tmp_path):
    async with sqlite(tmp_path / "plenum.db") as store:
        panel = house(PANEL, cards=DEAR, purse=tracker(store), settings=NO_REPAIR)
        result = await panel.fuse(effort="thorough", ask={"max_cost_usd": 0.03}, request={"max_tokens": 150})
        assert result.status == "degraded"
        assert result.answer in ("A", "B", "C")
        assert 0 < result.cost_usd <= 0.03
        statuses = [candidate.status for candidate in result.candidates]
        assert "unaffordable" in statuses
        assert "answered" in statuses
        assert any("could not be paid" in reason for reason in result.reasons)


async def test_no_fuse_costs_more_than_its_envelope_and_all_of_it_is_booked(house, tmp_path):
    paid = {}
    async with sqlite(tmp_path / "plenum.db") as store:
        for cents in (0.5, 1, 2, 4, 8):
            panel = house(PANEL, cards=DEAR, purse=tracker(store), settings=NO_REPAIR)
            try:
                ask = {"max_cost_usd": cents / 100, "id": f"f{cents}"}
                result = await panel.fuse(effort="thorough", ask=ask, request={"max_tokens": 150})
            except BudgetExceeded as refusal:
                assert refusal.receipt.cost_usd == 0
                continue
            assert 0 < result.cost_usd <= cents / 100
            paid[f"f{cents}"] = result.cost_usd
    assert len(paid) > 2
    for id, usd in paid.items():
        ((booked,),) = rows(tmp_path / "plenum.db", f"SELECT sum(cost) FROM attempt WHERE part_of = '{id}'")
        assert booked == pytest.approx(usd * 1e9)


async def test_nobody_affordable_is_a_budget_refusal(house, tmp_path):
    async with sqlite(tmp_path / "plenum.db") as store:
        panel = house(PANEL, cards=DEAR, purse=tracker(store))
        with pytest.raises(BudgetExceeded, match="no member"):
            await panel.fuse(ask={"max_cost_usd": 0.0001}, request={"max_tokens": 500})


async def test_a_repeated_fuse_is_replayed_and_not_paid_again(house, tmp_path):
    async with sqlite(tmp_path / "plenum.db") as store:
        recall = Replay(store.archive, store.archive)
        panel = house(PANEL, purse=tracker(store), recall=recall, settings=NO_REPAIR)
        first = await panel.fuse(ask={"request_id": "r-1"})
        calls = len(panel.asked)
        again = await panel.fuse(ask={"request_id": "r-1"})
        assert len(panel.asked) == calls
        assert again.receipt.cached == "replayed"
        assert again.receipt.cost_usd == 0
        assert again.told(full=True) == first.told(full=True)


async def test_feedback_is_kept_and_learned_from(house, tmp_path):
    async with sqlite(tmp_path / "plenum.db") as store:
        recall = Replay(store.archive, store.archive)
        taught = Taught(store.marks, every_s=0.0)
        cards = {name: {"quality": 0.8} for name in PANEL}
        panel = house(
            {"alpha": said("The answer is (A).", 0.0), "beta": said("The answer is (A).", 0.0)},
            cards=cards,
            recall=recall,
            lessons=taught,
        )
        before = await panel.fuse(ask={"id": "f0"})
        journal = Kept(store.archive)
        for number in range(40):
            await panel.fuse(f"Question {number}?\nA) one\nB) two", ask={"id": f"f{number + 1}"})
            id = f"f{number + 1}"
            receipt, answer = await journal.receipt(id, "local"), await journal.answer(id, "local")
            assert await store.marks.asker(id) == "local"
            kept = mark(receipt, answer, right=number % 2 == 0, at=float(number), identity={"alpha/m": "alpham"})
            await store.marks.keep(kept).wait()
        after = await panel.fuse("A last one?\nA) one\nB) two", ask={"id": "f99"})
        assert before.confidence.basis == "default-table"
        assert after.confidence.basis == "calibrated"
        assert 0.45 < after.confidence.value < 0.60
        assert taught.quality("alpham", "numeric", 0.8) < 0.8
