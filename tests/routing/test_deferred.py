"""Provider batches: handed in once, booked once, collected once – cut off at any await, over real HTTP and real files."""

import json
from collections import Counter, deque
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import httpx
import pytest

from providers import batches
from providers.catalog import cost_nano
from providers.dialects import load
from providers.errors import BadRequest, ProxyRefused
from providers.http import Http, HttpProvider, Route, Timeouts
from providers.simulator import Conduct, Scenario, parse_fault
from providers.simulator.batches import BatchDesk
from providers.simulator.listening import listening
from providers.simulator.server import Simulator
from providers.simulator.stage import Stage
from providers.types import ModelCard, Price
from routing.costs.budgets import Cap, Plan
from routing.costs.pricing import Tariffs
from routing.costs.tracker import Tracker
from routing.deferred import Deferred
from routing.desk import Desk
from routing.errors import BudgetExceeded
from routing.recall import Replay
from routing.store.sqlite import sqlite
from routing.types import Deployment
from server.batching import Clash, Defaults, Outbox, name_of, written
from server.deferring import FileSource, JobLog
from tests.doubles import Listed, stepped
from tests.routing.money import rows

pytestmark = pytest.mark.anyio


class Wall:
    """The time of day at both ends, seconds since the epoch: it passes where a run waits, and nowhere else."""

    def __init__(self) -> None:
        self.now = 1_795_262_400.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await anyio.lowlevel.checkpoint()


WALL = Wall()


@asynccontextmanager
async def serve(scenario: Scenario):
    """A simulator whose batches end by that clock."""
    stage = Stage(scenario, None)
    simulator = Simulator(stage, deque(maxlen=1000), anyio.sleep, BatchDesk(stage, WALL))
    async with listening(simulator.handle) as base:
        yield base


DEFAULTS = Defaults({}, "shell")
CARD = ModelCard("m", context_window=100_000, capabilities=frozenset({"streaming", "json", "sampling"}))
PRICE = Price(10.0, 40.0, source="test")
WIRES = {
    "openai": ("openai_chat", "/openai/v1"),
    "anthropic": ("anthropic", "/anthropic"),
    "mistral": ("openai_chat", "/mistral/v1"),
    "gemini": ("gemini", "/gemini/v1beta"),
}
EVERY = pytest.mark.parametrize("wire", WIRES)


class Place:
    """A folder with a batch file, its output and its ledger; every `run` is a process of its own, but for the kill."""

    def __init__(self, folder: Path, base: str, wire: str, lines: int = 6, usd: float = 10.0) -> None:
        self.folder, self.base, self.wire = folder, base, wire
        self.caps = (Cap("global", "day", usd),)
        self.file = folder / "in.jsonl"
        self.out = folder / "out.jsonl"
        self.file.write_text("".join(f'{{"prompt": "What is {n}+1?", "id": "q{n}"}}\n' for n in range(1, lines + 1)))
        self.most_items = 10_000

    @asynccontextmanager
    async def open(self, **facts):
        """What a process has open; left without closing anything as a killed one does, but for its descriptors."""
        async with sqlite(self.folder / "plenum.db") as store, Http() as http:
            tariffs = Tariffs(cost_nano)
            purse = Tracker(store.ledger, tariffs, Plan(self.caps, zone="UTC"))
            desk = Desk(
                Listed([self._deployment(http, facts.pop("timeouts", Timeouts()))]), tariffs, purse=purse, wall=WALL
            )
            again = facts.pop("again", False)
            box = Outbox(self.out, name_of(self.file, DEFAULTS), again=again)
            log = JobLog(self.folder / "batches", box.batch)
            try:
                with self.file.open("rb") as file:
                    source = FileSource(file, DEFAULTS, box.done, log)
                    recall = Replay(store.archive, store.archive)
                    tell = facts.pop("tell", lambda done, _: box.write(written(done, box.batch)))
                    facts = {"sleep": WALL.sleep, **facts}
                    yield Deferred(box.batch, desk, recall, purse, log, source, tell, **facts)
            finally:
                log.close()
                box.close()

    async def run(self, *, wait=True, stop=False, **facts):
        with anyio.fail_after(120):
            async with self.open(**facts) as deferred:
                return await deferred.run(wait=wait, stop=stop)

    def _deployment(self, http: Http, timeouts: Timeouts) -> Deployment:
        dialect, prefix = WIRES[self.wire]
        wire = batches.load(self.wire)
        few = type("Few", (), {"__getattr__": lambda _, name: getattr(wire, name), "most_items": self.most_items})()
        opener = HttpProvider(
            http,
            load(dialect),
            Route(self.base + prefix),
            card=lambda model: replace(CARD, id=model),
            timeouts=timeouts,
            batch=few,
        )
        return Deployment(self.wire, "m", self.wire, CARD, PRICE, opener)

    def told(self) -> list[dict]:
        return [json.loads(text) for text in self.out.read_text().splitlines()]

    def attempts(self) -> list[tuple]:
        return rows(self.folder / "plenum.db", "SELECT state, count(*), sum(cost) FROM attempt GROUP BY 1")

    def budget(self) -> tuple:
        ((spent, held),) = rows(self.folder / "plenum.db", "SELECT spent, held FROM budget WHERE scope = 'global'")
        return spent, held

    async def handed_in(self) -> list[list[str]]:
        """The ids of the items of every batch the simulator was given."""
        async with httpx.AsyncClient() as client:
            log = (await client.get(f"{self.base}/_log")).json()
        found = []
        for entry in log:
            body = entry["body"]
            if self.wire == "anthropic" and entry["path"].endswith("/messages/batches") and body:
                found.append([item["custom_id"] for item in body["requests"]])
            if self.wire == "mistral" and entry["path"].endswith("/batch/jobs") and entry["method"] == "POST":
                found.append([item["custom_id"] for item in body["requests"]])
            if self.wire == "gemini" and entry["path"].endswith(":batchGenerateContent"):
                requests = body["batch"]["inputConfig"]["requests"]["requests"]
                found.append([item["metadata"]["key"] for item in requests])
            if self.wire == "openai" and entry["path"].endswith("/batches") and entry["method"] == "POST":
                found.append([body["input_file_id"]])
        return found

    def answered_once(self, lines: int = 6) -> None:
        """Every line once in the output and once in the ledger, at the batch price, nothing held."""
        told = self.told()
        assert sorted(one["line"] for one in told) == list(range(1, lines + 1))
        assert all(one["answer"].endswith(f" {one['line'] + 1}.") for one in told), told
        settled = [row for row in self.attempts() if row[0] != 2]
        assert [(state, count) for state, count, _ in settled] == [(1, lines)], self.attempts()
        assert self.budget() == (settled[0][2], 0)


@EVERY
async def test_every_line_is_answered_at_half_the_price(tmp_path, wire):
    async with serve(Scenario(batch_s=0.05)) as base:
        place = Place(tmp_path, base, wire)
        count = await place.run()
        assert len(await place.handed_in()) == 1
    place.answered_once()
    assert (count.answered, count.failed, count.waiting, count.stopped) == (6, 0, 0, None)
    ((cost, tokens, price, latency),) = rows(
        tmp_path / "plenum.db",
        "SELECT sum(cost), sum(input * 5 + output * 20), max(price), max(latency) FROM attempt",
    )
    assert cost == tokens * 1000 and price == "5/20 test batch" and latency is None
    assert count.usd == pytest.approx(cost / 1e9) and cost > 0
    assert {one["simulated"] for one in place.told()} == {True}
    assert not list((tmp_path / "batches").iterdir())


@EVERY
async def test_handed_in_by_one_run_and_collected_by_another(tmp_path, wire):
    async with serve(Scenario(batch_s=0.05)) as base:
        place = Place(tmp_path, base, wire)
        place.most_items = 2
        count = await place.run(wait=False)
        assert (count.handed_in, count.waiting, count.answered) == (6, 6, 0)
        count = await place.run()
        assert len(await place.handed_in()) == 3
    place.answered_once()


async def test_between_two_runs_the_money_stays_reserved(tmp_path):
    async with serve(Scenario(batch_s=10_000)) as base:
        place = Place(tmp_path, base, "openai")
        await place.run(wait=False)
        spent, held = place.budget()
        await place.run(wait=False)  # the first process is gone: what it held counts as spent until the truth is known
        assert sum(place.budget()) == spent + held > 0
        assert len(await place.handed_in()) == 1


async def test_cut_off_at_any_await_nothing_is_handed_in_or_paid_twice(tmp_path):
    at, cancelled = 1, True
    async with serve(Scenario(batch_s=0.01)) as base:
        while cancelled:
            folder = tmp_path / str(at)
            folder.mkdir()
            place = Place(folder, base, "openai", lines=3)
            before = len(await place.handed_in())
            with anyio.CancelScope() as scope:
                await stepped(place.run(), at, scope.cancel)
            cancelled = scope.cancelled_caught
            await place.run()
            place.answered_once(3)
            assert (at, len(await place.handed_in()) - before) == (at, 1)
            at += 3
    assert at > 20


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
async def test_a_batch_whose_reply_was_lost_is_found_again(tmp_path, wire):
    scenario = Scenario(batch_s=1000.0, batch_faults=("hang",))
    async with serve(scenario) as base:
        place = Place(tmp_path, base, wire)
        first = await place.run(timeouts=Timeouts(idle=2))
        if wire == "anthropic":  # it runs still: nobody can tell whose it is
            assert first.stopped is not None and "cannot be told" in first.stopped.message and first.stopped.hint
            WALL.now += 1000.0
            await place.run()
        assert len(await place.handed_in()) == 1
    place.answered_once()


def twins(place: Place, **facts) -> None:
    """Six lines of which the first, the third and the sixth ask the same."""
    asked = [{"prompt": f"What is {n}+1?", **facts} for n in (1, 2, 1, 3, 4, 1)]
    place.file.write_text("".join(f"{json.dumps(one)}\n" for one in asked))


@EVERY
async def test_lines_that_ask_the_same_are_handed_in_and_paid_once(tmp_path, wire):
    async with serve(Scenario(batch_s=0.05)) as base:
        twins(place := Place(tmp_path, base, wire))
        first = await place.run(wait=False)
        count = await place.run()
        assert len(await place.handed_in()) == 1
    assert (first.handed_in, first.waiting, first.answered) == (4, 6, 0)
    assert (count.answered, count.repeated) == (6, 2)
    told = {one["line"]: one for one in place.told()}
    assert [told[n]["answer"][-2:] for n in range(1, 7)] == ["2.", "3.", "2.", "4.", "5.", "2."]
    assert [told[n]["cached"] for n in range(1, 7)] == ["no", "no", "joined", "no", "no", "joined"]
    assert told[3]["receipt"] == told[6]["receipt"] == told[1]["receipt"]
    assert told[3]["cost_usd"] == told[6]["cost_usd"] == 0 < told[1]["cost_usd"]
    ((state, lines, cost),) = place.attempts()
    assert (state, lines, place.budget()) == (1, 4, (cost, 0))
    assert sum(one["cost_usd"] for one in told.values()) == pytest.approx(cost / 1e9)


@pytest.mark.parametrize("facts", [{"temperature": 0.7}, {"options": {"cache": "off"}}])
async def test_lines_that_want_answers_of_their_own_get_them(tmp_path, facts):
    async with serve(Scenario(batch_s=0.05)) as base:
        twins(place := Place(tmp_path, base, "openai"), **facts)
        await place.run()
    assert [one["cached"] for one in place.told()] == ["no"] * 6
    assert [row[:2] for row in place.attempts()] == [(1, 6)]


async def test_where_nothing_is_cached_every_line_is_handed_in(tmp_path):
    async with serve(Scenario(batch_s=0.05)) as base:
        twins(place := Place(tmp_path, base, "openai"))
        await place.run(joins=False)
    assert [row[:2] for row in place.attempts()] == [(1, 6)]


async def test_twins_of_a_line_that_failed_are_told_so_and_asked_again_with_it(tmp_path):
    scenario = Scenario(models={"*": Conduct(script=(parse_fault("status:400"),))}, batch_s=0.05)
    async with serve(scenario) as base:
        twins(place := Place(tmp_path, base, "openai"))
        count = await place.run()
        assert (count.answered, count.codes) == (3, {"invalid_request": 3})
        await place.run(again=True)
    assert sorted(one["line"] for one in place.told()) == [1, 2, 3, 4, 5, 6]
    assert not [one for one in place.told() if "error" in one]
    assert [row[:2] for row in place.attempts()] == [(1, 4), (2, 1)]


async def test_twins_of_a_line_that_cannot_be_paid_wait_with_it(tmp_path):
    async with serve(Scenario(batch_s=0.05)) as base:
        twins(place := Place(tmp_path, base, "openai"))
        count = await place.run(usd=0.0)
        assert (count.unpaid, count.handed_in, place.told()) == (6, 0, [])
        assert await place.handed_in() == []


async def test_cut_off_at_any_await_twins_have_one_answer_paid_once(tmp_path):
    at, cancelled = 1, True
    async with serve(Scenario(batch_s=0.01)) as base:
        while cancelled:
            (folder := tmp_path / str(at)).mkdir()
            twins(place := Place(folder, base, "openai"))
            with anyio.CancelScope() as scope:
                await stepped(place.run(), at, scope.cancel)
            cancelled = scope.cancelled_caught
            await place.run()
            told = {one["line"]: (one["answer"][-2:], one["cost_usd"] > 0) for one in place.told()}
            free = {3: ("2.", False), 6: ("2.", False)}
            assert told == {1: ("2.", True), 2: ("3.", True), 4: ("4.", True), 5: ("5.", True)} | free, at
            assert len(place.told()) == 6
            settled = [row for row in place.attempts() if row[0] != 2]
            assert [row[:2] for row in settled] == [(1, 4)] and place.budget() == (settled[0][2], 0)
            at += 5
    assert at > 20


async def test_a_batch_that_never_arrived_is_handed_in_again_and_what_was_held_is_free(tmp_path):
    async with serve(Scenario(batch_s=0.05)) as base:
        place = Place(tmp_path, "http://127.0.0.1:9", "openai")
        count = await place.run()
        assert count.stopped is not None and "could not be asked" in count.stopped.message
        assert place.budget() == (0, 0) and place.told() == []
        place.base = base
        await place.run()
    place.answered_once()


@EVERY
async def test_a_line_that_fails_says_so_and_costs_nothing(tmp_path, wire):
    scenario = Scenario(models={"*": Conduct(script=(None, parse_fault("status:400"), None))}, batch_s=0.05)
    async with serve(scenario) as base:
        place = Place(tmp_path, base, wire, lines=3)
        count = await place.run()
        assert (count.answered, count.failed) == (2, 1)
        wrong = [one for one in place.told() if "error" in one]
        assert [one["line"] for one in wrong] == [2] and wrong[0]["error"]["code"] == "invalid_request"
        assert dict((row[0], row[1]) for row in place.attempts()) == {1: 2, 2: 1}
        assert place.budget()[1] == 0
        await place.run(again=True)
    place.answered_once(3)


@EVERY
async def test_what_expired_is_told_and_can_be_asked_again(tmp_path, wire):
    async with serve(Scenario(batch_s=0.05, batch_faults=("expire",))) as base:
        place = Place(tmp_path, base, wire)
        count = await place.run()
        assert (count.answered, count.codes) == (3, {"timeout": 3})
        await place.run(again=True)
    place.answered_once()


@EVERY
async def test_a_batch_can_be_stopped(tmp_path, wire):
    async with serve(Scenario(batch_s=10_000)) as base:
        place = Place(tmp_path, base, wire)
        await place.run(wait=False)
        count = await place.run(stop=True)
        assert len(await place.handed_in()) == 1
    assert (count.answered, count.failed, count.waiting) == (0, 6, 0)
    assert place.budget() == (0, 0)
    assert Counter(one["error"]["code"] for one in place.told()) == {"provider_failed": 6}


async def test_lines_that_cannot_be_paid_are_left_for_another_day(tmp_path):
    async with serve(Scenario(batch_s=0.05)) as base:
        place = Place(tmp_path, base, "openai", usd=0.4)
        count = await place.run()
        assert count.unpaid > 0 and count.answered == len(place.told()) == 6 - count.unpaid > 0
        assert sum(place.budget()) <= 0.4e9
        for _ in range(6):
            if len(place.told()) < 6:
                await place.run()
    place.answered_once()


async def test_the_envelope_holds_over_all_runs(tmp_path):
    async with serve(Scenario(batch_s=0.05)) as base:
        place = Place(tmp_path, base, "openai")
        count = await place.run(usd=0.0)
        assert (count.unpaid, count.handed_in, place.told()) == (6, 0, [])
        assert await place.handed_in() == []


async def test_a_broken_line_is_told_and_the_others_are_handed_in(tmp_path):
    async with serve(Scenario(batch_s=0.05)) as base:
        place = Place(tmp_path, base, "openai", lines=2)
        with place.file.open("a") as file:
            file.write('nonsense\n{"prompt": "x", "id": "q1"}\n{"prompt": "x", "schema": {"type": 7}}\n')
        count = await place.run()
    assert (count.answered, count.codes) == (2, {"invalid_request": 3})
    assert sorted(one["line"] for one in place.told()) == [1, 2, 3, 4, 5]


async def test_two_runs_of_one_batch_are_one_too_many(tmp_path):
    async with serve(Scenario(batch_s=0.05)) as base:
        place = Place(tmp_path, base, "openai")
        async with place.open():
            place.out = tmp_path / "other.jsonl"
            with pytest.raises(Clash, match="another run"):
                async with place.open():
                    raise AssertionError("opened twice")


@pytest.mark.parametrize("damage", [b"\xff nonsense\n", b'{"name": "nobody", "joins": {"2": 1}, "offset": 0}\n'])
async def test_a_damaged_record_hands_nothing_in(tmp_path, damage):
    async with serve(Scenario(batch_s=10_000)) as base:
        place = Place(tmp_path, base, "openai")
        await place.run(wait=False)
        (record,) = (tmp_path / "batches").iterdir()
        record.write_bytes(damage + record.read_bytes())
        with pytest.raises(Clash, match="damaged"):
            await place.run()
        assert len(await place.handed_in()) == 1


async def test_a_torn_last_line_of_the_record_is_a_step_that_was_not_taken(tmp_path):
    async with serve(Scenario(batch_s=1.0)) as base:
        place = Place(tmp_path, base, "openai")
        await place.run(wait=False)
        (record,) = (tmp_path / "batches").iterdir()
        with record.open("ab") as file:
            file.write(b'{"name": "')
        await place.run()
        assert len(await place.handed_in()) == 1
    place.answered_once()


class Emptied:
    """A purse whose money somebody else takes just before the first line of a hand-in is booked."""

    def __init__(self, purse) -> None:
        self._purse, self._first = purse, True

    def __getattr__(self, name):
        return getattr(self._purse, name)

    async def book(self, bill) -> None:
        if self._first:
            self._first = False
            raise BudgetExceeded("The day's budget is spent.", hint="wait")
        await self._purse.book(bill)


async def test_a_first_line_that_could_not_be_paid_shifts_no_other_ones_answer(tmp_path):
    async with serve(Scenario(batch_s=0.05)) as base:
        place = Place(tmp_path, base, "openai", lines=3)
        async with place.open() as deferred:
            count = await replace(deferred, purse=Emptied(deferred.purse)).run()
    assert (count.unpaid, count.answered) == (1, 2)
    assert [(one["id"], one["line"], one["answer"][-2:]) for one in place.told()] == [("q2", 2, "3."), ("q3", 3, "4.")]


@EVERY
async def test_lines_that_ask_the_same_are_paid_once_however_many_hand_ins_lie_between(tmp_path, wire):
    async with serve(Scenario(batch_s=0.05)) as base:
        twins(place := Place(tmp_path, base, wire))
        place.most_items = 2
        first = await place.run(wait=False)
        count = await place.run()
        assert len(await place.handed_in()) == 2
    assert (first.handed_in, first.waiting, first.answered) == (4, 6, 0)
    assert (count.answered, count.repeated) == (6, 2)
    told = {one["line"]: one for one in place.told()}
    assert [told[n]["answer"][-2:] for n in range(1, 7)] == ["2.", "3.", "2.", "4.", "5.", "2."]
    assert [told[n]["cached"] for n in range(1, 7)] == ["no", "no", "joined", "no", "no", "joined"]
    assert [row[:2] for row in place.attempts()] == [(1, 4)] and place.budget()[1] == 0


async def test_cut_off_at_any_await_twins_of_an_earlier_hand_in_are_paid_once(tmp_path):
    at, cancelled = 1, True
    async with serve(Scenario(batch_s=0.01)) as base:
        while cancelled:
            (folder := tmp_path / str(at)).mkdir()
            twins(place := Place(folder, base, "openai"))
            place.most_items = 2
            with anyio.CancelScope() as scope:
                await stepped(place.run(), at, scope.cancel)
            cancelled = scope.cancelled_caught
            await place.run()
            told = {one["line"]: (one["answer"][-2:], one["cost_usd"] > 0) for one in place.told()}
            free = {3: ("2.", False), 6: ("2.", False)}
            assert told == {1: ("2.", True), 2: ("3.", True), 4: ("4.", True), 5: ("5.", True)} | free, at
            assert len(place.told()) == 6
            settled = [row for row in place.attempts() if row[0] != 2]
            assert [row[:2] for row in settled] == [(1, 4)] and place.budget() == (settled[0][2], 0)
            at += 7
    assert at > 20


async def test_a_line_put_aside_has_the_answer_of_a_later_one_that_was_handed_in(tmp_path):
    async with serve(Scenario(batch_s=1.0)) as base:
        place = Place(tmp_path, base, "openai")
        place.file.write_text("".join(f'{{"prompt": "What is {n}+1?"}}\n' for n in (7, 1, 2, 3, 1, 7)))
        place.most_items = 3
        async with (
            place.open() as deferred
        ):  # the first line is put aside with the first hand-in; the last one leads then
            first = await replace(deferred, purse=Emptied(deferred.purse)).run(wait=False)
        assert (first.unpaid, first.handed_in, first.waiting) == (1, 4, 5)
        await place.run()
        assert len(await place.handed_in()) == 2
    told = {one["line"]: (one["answer"][-2:], one["cached"]) for one in place.told()}
    paid = {2: ("2.", "no"), 3: ("3.", "no"), 4: ("4.", "no"), 6: ("8.", "no")}
    assert told == paid | {1: ("8.", "joined"), 5: ("2.", "joined")}


async def test_an_answer_of_an_earlier_run_is_given_to_whoever_asks_the_same_later(tmp_path):
    async with serve(Scenario(batch_s=0.01)) as base:
        twins(place := Place(tmp_path, base, "openai"))
        whole = place.file.read_text()
        async with place.open() as deferred:  # cut short: the last line is never come to
            few = iter([pair for pair in deferred.source.fresh() if pair[0].number < 6])
            source = Short(deferred.source, few)
            await replace(deferred, source=source).run()
        assert place.file.read_text() == whole and len(place.told()) == 5
        count = await place.run()
        assert len(await place.handed_in()) == 1
    assert (count.answered, count.repeated, count.usd) == (1, 1, 0)
    assert [row[:2] for row in place.attempts()] == [(1, 4)]


class Short:
    """A file that ends early."""

    def __init__(self, source, few) -> None:
        self.again, self._few = source.again, few

    def fresh(self):
        return self._few


class Refusing:
    """A desk whose provider refuses the first batch it is given."""

    def __init__(self, desk) -> None:
        self._desk, self._refused = desk, False

    def __getattr__(self, name):
        return getattr(self._desk, name)

    def batches(self, deployment):
        batches = self._desk.batches(deployment)

        async def submit(name, items):
            if not self._refused:
                self._refused = True
                raise BadRequest("a line is too long", billed="no")
            return await type(batches).submit(batches, name, items)

        return type(
            "Batches", (), {"__getattr__": lambda _, name: getattr(batches, name), "submit": staticmethod(submit)}
        )()


class Barred:
    """A desk behind a proxy that began to want a password when the batch was handed in."""

    def __init__(self, desk) -> None:
        self._desk = desk

    def __getattr__(self, name):
        return getattr(self._desk, name)

    def batches(self, deployment):
        batches = self._desk.batches(deployment)

        async def look(_):
            raise ProxyRefused(407)

        return type(
            "Batches", (), {"__getattr__": lambda _, name: getattr(batches, name), "look": staticmethod(look)}
        )()


async def test_a_proxy_that_bars_the_way_to_a_batch_is_told_and_not_waited_for(tmp_path):
    async with serve(Scenario(batch_s=1.0)) as base:
        place = Place(tmp_path, base, "openai")
        async with place.open() as deferred:
            with anyio.fail_after(30):
                count = await replace(deferred, desk=Barred(deferred.desk)).run()
        assert count.stopped is not None and "wants a user name and password" in count.stopped.message
        assert count.waiting == 6
        await place.run()
    place.answered_once()


async def test_after_a_refused_hand_in_the_file_is_read_on_where_it_was(tmp_path):
    async with serve(Scenario(batch_s=0.01)) as base:
        twins(place := Place(tmp_path, base, "openai"))
        place.most_items = 2
        async with place.open() as deferred:
            count = await replace(deferred, desk=Refusing(deferred.desk)).run()
    told = {one["line"]: one for one in place.told()}
    assert sorted(told) == [1, 2, 3, 4, 5, 6] and len(place.told()) == 6
    assert (count.answered, count.failed, [n for n in told if "error" in told[n]]) == (3, 3, [1, 2, 3])
    assert {n: told[n]["answer"][-2:] for n in (4, 5, 6)} == {4: "4.", 5: "5.", 6: "2."}
