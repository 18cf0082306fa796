"""The exact cache: what is the same question, whose answer it is, how long it stands, and what survives."""

from dataclasses import replace

import anyio
import pytest

from providers.types import Image, Message, Text, Tool
from routing.cache.front import Entry, Front
from routing.cache.key import key_of
from routing.errors import NoModel
from routing.events import CacheLooked
from routing.store.cache import Bounds
from routing.store.memory import Memory
from routing.types import Ask
from tests.doubles import Listed, ask, sim
from tests.routing.cache.conftest import Cache, resolved, said, written
from tests.routing.money import Clock, change, ends, rows

pytestmark = pytest.mark.anyio


async def test_the_second_time_nobody_is_asked_and_the_receipt_says_so(store, clock):
    cache = Cache(store, clock)
    first = await cache.answer(ask())
    again = await cache.answer(ask(task="math", max_cost_usd=0.01))
    assert cache.calls == 1
    assert again.answer == first.answer
    assert (again.receipt.cached, again.receipt.cost_usd, again.receipt.attempts) == ("exact", 0.0, ())
    assert again.receipt.id == first.receipt.id and again.receipt.task == "math"
    assert [(e.kind, e.saved_usd) for e in cache.told.of(CacheLooked)] == [("miss", 0.0), ("exact", 0.5)]


OTHERS = {
    "words": ask("What is 2+4?"),
    "space": ask("What is 2+3? "),
    "model": ask(model="gpt"),
    "strategy": ask(strategy="cost"),
    "caller": ask(caller="eve"),
    "require": ask(require=frozenset({"tools"})),
    "quality": ask(min_quality=0.5),
    "families": ask(exclude_families=frozenset({"gpt"})),
    "allowed": ask(allowed_models=("a/*",)),
    "local": ask(local_only=True),
    **{
        name: ask(request={name: value})
        for name, value in {
            "system": "Be brief.",
            "max_tokens": 7,
            "temperature": 0.0,
            "top_p": 0.5,
            "seed": 1,
            "frequency_penalty": 0.1,
            "presence_penalty": 0.1,
            "stop": ("x",),
            "schema": {"type": "number"},
            "tools": (Tool("f", "does", {}),),
            "tool_choice": "none",
            "parallel_tools": False,
            "reasoning": "low",
        }.items()
    },
    "history": Ask(replace(ask().request, messages=(Message("assistant", (Text("Hi"),)), *ask().request.messages))),
    "role": Ask(replace(ask().request, messages=(Message("assistant", (Text("What is 2+3?"),)),))),
    "image": Ask(replace(ask().request, messages=(Message("user", (Text("What is 2+3?"), Image("image/png", b"1"))),))),
    "other image": Ask(
        replace(ask().request, messages=(Message("user", (Text("What is 2+3?"), Image("image/png", b"2"))),))
    ),
    "two parts": Ask(replace(ask().request, messages=(Message("user", (Text("What is "), Text("2+3?"))),))),
}


@pytest.mark.parametrize("name", OTHERS)
async def test_whatever_can_change_the_answer_makes_another_question(name, clock):
    cache = Cache(None, clock)
    await cache.answer(ask())
    await cache.answer(OTHERS[name])
    assert cache.calls == 2


def test_every_pair_of_these_questions_has_its_own_key():
    keys = {key_of(other, resolved(other.model)).exact for other in [ask(), *OTHERS.values()]}
    assert len(keys) == len(OTHERS) + 1


async def test_hints_envelopes_and_the_order_of_a_schema_change_no_answer(clock):
    cache = Cache(None, clock)
    await cache.answer(ask(request={"schema": {"type": "number", "minimum": 1}}))
    hinted = ask(request={"schema": {"minimum": 1, "type": "number"}, "prompt_cache_key": "k"}, hedge=True)
    await cache.answer(replace(hinted, max_latency_s=3.0, id="x", request_id="y", allow_truncated=True))
    assert cache.calls == 1


async def test_use_refresh_and_off(clock):
    cache = Cache(None, clock)
    for mode, calls in (("off", 1), (None, 2), ("off", 3), ("refresh", 4), ("use", 4), (None, 4)):
        result = await cache.answer(ask(cache=mode))
        assert cache.calls == calls
    assert result.answer.text == "answer 4"


async def test_a_temperature_above_zero_is_kept_only_by_choice(clock):
    cache = Cache(None, clock)
    warm = {"temperature": 0.7}
    for mode, calls in ((None, 1), (None, 2), ("use", 3), ("use", 3), (None, 4)):
        await cache.answer(ask(request=warm, cache=mode))
        assert cache.calls == calls
    await cache.answer(ask(request={"temperature": 0.0}))
    await cache.answer(ask(request={"temperature": 0.0}))
    assert cache.calls == 5


@pytest.mark.parametrize(
    "facts",
    [{"finish_reason": "length"}, {"finish_reason": None}, {"finish_reason": "content_filter"}, {"refusal": "no"}],
)
async def test_what_is_not_complete_is_not_given_again(facts, clock):
    cache = Cache(None, clock)
    await cache.answer(ask(allow_truncated=True), **facts)
    await cache.answer(ask(allow_truncated=True))
    assert cache.calls == 2


async def test_a_stand_ins_answer_is_not_kept_and_who_left_answers_no_more(clock):
    own, other = sim("a"), sim("b")
    cache = Cache(None, clock, directory=Listed([own], [other]))
    await cache.answer(ask(), by="b")
    await cache.answer(ask(), by="a")
    await cache.answer(ask(), by="a")
    assert cache.calls == 2
    cache.recall.adopt(cache.settings, Listed([other]))
    await cache.answer(ask(), by="b")
    assert cache.calls == 3


async def test_a_name_that_stands_for_nothing_is_told_also_where_an_answer_is_known(clock):
    class Nobody(Listed):
        def resolve(self, ask):
            raise NoModel("gone", hint="")

    cache = Cache(None, clock)
    await cache.answer(ask())
    cache.recall.adopt(cache.settings, Nobody())
    with pytest.raises(NoModel):
        await cache.answer(ask())


async def test_two_samples_of_one_panel_differ_and_the_same_panel_again_gets_both(clock):
    cache = Cache(None, clock)
    first = [(await cache.answer(ask(part_of="fuse 1"))).answer.text for _ in range(2)]
    second = [(await cache.answer(ask(part_of="fuse 2"))).answer.text for _ in range(2)]
    assert first == second == ["answer 1", "answer 2"]


async def test_lines_of_a_batch_share_answers(clock):
    cache = Cache(None, clock)
    for line in "ab":
        await cache.answer(ask(part_of="batch", request_id=line))
    assert cache.calls == 1


async def test_an_answer_has_its_time(store, clock):
    cache = Cache(store, clock, ttl_s=60.0)
    await cache.answer(ask())
    await written(store)
    clock.now += 60
    await cache.answer(ask())
    assert cache.calls == 1
    clock.now += 1
    await cache.answer(ask())
    assert cache.calls == 2


async def test_a_clock_that_was_set_back_makes_answers_of_the_future_count_for_nothing(store, clock):
    cache = Cache(store, clock)
    await cache.answer(ask())
    clock.now -= 3600
    await cache.answer(ask())
    assert cache.calls == 2


async def test_it_survives_a_restart_and_serves_another_process(store, clock, another):
    await Cache(store, clock).answer(ask(text := "long " * 2000))
    await written(store)
    async with another() as other:
        again = await Cache(other, clock).answer(ask(text))
    assert (again.answer.text, again.receipt.cached) == ("answer 1", "exact")


async def test_a_large_answer_is_compressed(store, clock):
    cache = Cache(store, clock)
    async with cache.recall.flight(ask()) as flight:
        await flight.keep(said("ten thousand words " * 1000, ask()))
    await written(store)
    ((size,),) = rows(store, "SELECT length(body) FROM response")
    assert size < 2000


async def test_what_another_process_refreshed_or_forgot_is_seen_at_once(store, clock, another):
    cache = Cache(store, clock)
    await cache.answer(ask())
    await written(store)
    async with another() as there:
        clock.now += 1
        other = Cache(there, clock)
        other.calls = 10
        await other.answer(ask(cache="refresh"))
        await written(there)
        assert (await cache.answer(ask())).answer.text == "answer 11"
        await change(there, "DELETE FROM response")
    clock.now += 10
    assert (await cache.answer(ask())).answer.text == "answer 2"


async def test_forgetting_a_receipt_forgets_its_cached_answer(store, clock):
    from routing.recall import Replay

    cache = Cache(store, clock)
    replay = Replay(store.archive, store.archive, beneath=cache.recall, clock=clock)
    async with replay.flight(ask()) as flight:
        await flight.keep(result := said("a secret", ask()))
    await written(store)
    assert rows(store, "SELECT count(*) FROM response") == [(1,)]
    await store.archive.forget(result.receipt.id).wait()
    assert rows(store, "SELECT count(*) FROM response") == [(0,)]
    clock.now += 10
    await cache.answer(ask())
    assert cache.calls == 1


async def test_where_texts_are_not_kept_it_lives_in_memory_alone(store, clock):
    cache = Cache(store, clock, texts=False)
    await cache.answer(ask())
    await cache.answer(ask())
    await written(store)
    assert cache.calls == 1
    assert rows(store, "SELECT count(*) FROM response") == [(0,)]


POISON = {
    "truncated": ("body", lambda body: body[: len(body) // 2]),
    "empty": ("body", lambda _: b""),
    "rubbish": ("body", lambda _: bytes(range(256)) * 2),
    "another answer": ("body", lambda body: body.replace(b"answer 1", b"answer 9")),
    "another owner": ("caller", lambda _: "eve"),
    "another age": ("at", lambda at: at + 1),
    "no seal": ("seal", lambda _: b""),
    "another type": ("body", lambda _: b"j[1,2]"),
}


@pytest.mark.parametrize("how", POISON)
async def test_a_poisoned_row_is_a_miss_and_goes(store, clock, how):
    await Cache(store, clock).answer(ask())
    await written(store)
    column, poisoned = POISON[how]
    ((sound,),) = rows(store, f"SELECT {column} FROM response")
    assert poisoned(sound) != sound
    await change(store, f"UPDATE response SET {column} = ?", poisoned(sound))
    fresh = Cache(store, clock)
    fresh.calls = 100
    assert (await fresh.answer(ask())).answer.text == "answer 101"
    await written(store)
    assert (await Cache(store, clock).answer(ask())).answer.text == "answer 101"


async def test_a_row_moved_under_another_callers_key_is_not_given_to_him(store, clock):
    cache = Cache(store, clock)
    await cache.answer(ask())
    await written(store)
    theirs = key_of(ask(caller="eve"), resolved()).exact
    await change(store, "UPDATE response SET key = ?", theirs)
    fresh = Cache(store, clock)
    await fresh.answer(ask(caller="eve"))
    assert fresh.calls == 1


async def test_a_replica_reads_what_another_put_on_the_shelf_and_trusts_no_rubbish(clock):
    shelf = Memory(clock)
    await Cache(None, clock, shelf).answer(ask())
    there = Cache(None, clock, shelf)
    assert (await there.answer(ask())).receipt.cached == "exact"
    key = key_of(ask(), resolved()).exact
    for rubbish in (b"", b"j[]", b"zzz", b'j["local","r",1.0,"x","y"]'):
        await shelf.put(f"answer {key}", rubbish, 60)
        fresh = Cache(None, clock, shelf)
        assert (await fresh.answer(ask())).receipt.cached == "no"


async def test_the_least_recently_used_go_first_on_disk_too(store, clock):
    cache = Cache(store, clock, entries=3)
    for name in ("a", "b", "c", "a", "d"):
        clock.now += 1
        await cache.answer(ask(name))
    await written(store)
    fresh = Cache(store, clock, entries=3)
    found = [(await fresh.answer(ask(name, cache="use"))).receipt.cached for name in ("a", "c", "d")]
    assert found == ["exact"] * 3
    assert (await fresh.answer(ask("b"))).receipt.cached == "no"
    assert rows(store, "SELECT entries, bytes FROM response_total") == rows(
        store, "SELECT count(*), sum(length(body)) FROM response"
    )


async def test_bytes_are_bounded_too(store, clock):
    cache = Cache(store, clock, bytes=2000)
    for number in range(20):
        clock.now += 1
        await cache.answer(ask(str(number)))
    await written(store)
    ((entries, size),) = rows(store, "SELECT entries, bytes FROM response_total")
    assert size <= 2000 and 0 < entries < 20


def test_the_front_keeps_its_bounds_and_nothing_that_is_too_large():
    front = Front(Bounds(2, 100))
    entry = Entry(said("x", ask()), "local", 0.0, 60)
    front.put("a", entry)
    front.put("b", entry)
    assert (front.get("a"), front.bytes, len(front)) == (None, 60, 1)
    front.put("c", replace(entry, size=101))
    assert front.get("c") is None and front.get("b") is entry
    front.put("b", replace(entry, size=10))
    assert front.bytes == 10
    front.clear()
    assert (front.bytes, len(front)) == (0, 0)


async def test_a_schema_that_holds_itself_is_merely_not_cached(clock):
    cache, schema = Cache(None, clock), {}
    schema["properties"] = schema
    for calls in (1, 2):
        await cache.answer(ask(request={"schema": schema}))
        assert cache.calls == calls


async def test_switched_off_it_remembers_nothing(clock):
    cache = Cache(None, clock, enabled=False)
    await cache.answer(ask())
    await cache.answer(ask())
    assert cache.calls == 2


async def test_a_store_that_fails_leaves_the_memory(store, clock):
    cache = Cache(store, clock)
    await cache.answer(ask())
    ends(store)
    assert (await cache.answer(ask())).receipt.cached == "exact"
    await cache.answer(ask("another"))
    assert cache.calls == 2


async def test_a_hit_takes_no_turn_of_the_event_loop_longer_than_a_miss(store, clock):
    """A hit submits nothing: the writer's counts stand still."""
    cache = Cache(store, clock)
    await cache.answer(ask())
    await written(store)
    before = store.writer.operations
    for _ in range(50):
        await cache.answer(ask())
    await anyio.lowlevel.checkpoint()
    assert store.writer.operations == before
    assert Clock().now
