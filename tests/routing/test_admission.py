"""Admission: bounded, in order, the lesser shed first, and every place given back."""

import math

import anyio
import pytest
from anyio.lowlevel import checkpoint
from virtual_time import BACKEND, virtual_now

from routing.admission import Admission, AdmissionSettings
from routing.errors import Limited

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return BACKEND


def door(in_flight=2, queue=2.0, **more):
    return Admission(AdmissionSettings(in_flight, queue), clock=virtual_now, **more)


class Crowd:
    """Jobs that were let in, in order, and those that were not."""

    def __init__(self, admission) -> None:
        self.admission, self.let_in, self.refused = admission, [], []

    async def job(self, name, kind="generate", lasts=10.0, deadline=math.inf):
        try:
            async with self.admission.enter(kind, deadline):
                self.let_in.append(name)
                await anyio.sleep(lasts)
        except Limited as refusal:
            self.refused.append((name, refusal))


async def settle():
    for _ in range(5):
        await checkpoint()


async def test_no_more_than_allowed_are_in_flight_and_the_rest_enter_in_order():
    crowd = Crowd(door(in_flight=3, queue=10))
    began = virtual_now()
    async with anyio.create_task_group() as tasks:
        for i in range(9):
            tasks.start_soon(crowd.job, i)
        await settle()
        assert (crowd.admission.view().running, crowd.admission.view().queued) == (3, 6)
    assert crowd.let_in == list(range(9))
    assert virtual_now() - began == pytest.approx(30)
    assert (crowd.admission.view().running, crowd.admission.view().queued) == (0, 0)


async def test_beyond_twice_as_many_waiting_a_job_is_refused_with_a_hint_and_a_wait():
    crowd = Crowd(door())
    async with anyio.create_task_group() as tasks:
        for i in range(7):
            tasks.start_soon(crowd.job, i)
    assert crowd.let_in == list(range(6))
    ((name, refusal),) = crowd.refused
    assert name == 6 and refusal.after >= 1 and "Try again in" in refusal.hint


async def test_when_full_a_fuse_makes_room_first_then_a_batch_then_nobody():
    crowd = Crowd(door(in_flight=1, queue=3))
    arrivals = [("runs", "generate"), ("f1", "fuse"), ("b1", "batch"), ("f2", "fuse")]
    arrivals += [("g1", "generate"), ("g2", "generate"), ("g3", "generate"), ("g4", "generate"), ("f3", "fuse")]
    async with anyio.create_task_group() as tasks:
        for name, kind in arrivals:
            tasks.start_soon(crowd.job, name, kind)
            await settle()
    assert [name for name, _ in crowd.refused] == ["f2", "f1", "b1", "g4", "f3"]
    assert crowd.let_in == ["runs", "g1", "g2", "g3"]


async def test_reading_is_never_turned_away():
    crowd = Crowd(door(in_flight=1, queue=0, memory=lambda: 0.99))
    async with anyio.create_task_group() as tasks:
        for i in range(100):
            tasks.start_soon(crowd.job, i, "read")
    assert len(crowd.let_in) == 100


@pytest.mark.parametrize(
    ("used", "taken"), [(0.84, {"fuse", "batch", "generate"}), (0.86, {"batch", "generate"}), (0.91, {"generate"})]
)
async def test_short_memory_sheds_fusions_first(used, taken):
    crowd = Crowd(door(in_flight=9, memory=lambda: used))
    for kind in ("fuse", "batch", "generate"):
        await crowd.job(kind, kind)
    assert set(crowd.let_in) == taken
    assert all("memory" in refusal.message for _, refusal in crowd.refused)


async def test_with_no_memory_left_nothing_is_taken_on():
    crowd = Crowd(door(memory=lambda: 0.96))
    await crowd.job("g")
    assert crowd.refused


async def test_a_deadline_that_cannot_be_met_is_refused_at_once():
    crowd = Crowd(door(in_flight=1, queue=9))
    await crowd.job("teaches how long a job lasts")
    async with anyio.create_task_group() as tasks:
        for i in range(3):
            tasks.start_soon(crowd.job, i)
        await settle()
        before = virtual_now()
        await crowd.job("hurried", deadline=before + 15)
        assert virtual_now() == before
        assert [name for name, _ in crowd.refused] == ["hurried"]


async def test_waiting_ends_at_the_deadline():
    crowd = Crowd(door(in_flight=1))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(crowd.job, "long", "generate", 100.0)
        await settle()
        before = virtual_now()
        await crowd.job("short", deadline=before + 5)
        assert virtual_now() - before == pytest.approx(5)
    assert crowd.admission.view().queued == 0
    assert "deadline" in crowd.refused[0][1].message


@pytest.mark.parametrize("step", range(20))
async def test_cancelled_at_any_await_nobody_keeps_a_place(step):
    crowd = Crowd(door(in_flight=1, queue=5))
    victim = anyio.CancelScope()

    async def suffer():
        with victim:
            await crowd.job("victim", lasts=0.001)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(crowd.job, "first", "generate", 0.002)
            tasks.start_soon(suffer)
            tasks.start_soon(crowd.job, "behind", "generate", 0.001)
            for at in range(20):
                if at == step:
                    victim.cancel()
                await checkpoint() if at % 3 else await anyio.sleep(0.0005)
    assert "behind" in crowd.let_in
    assert (crowd.admission.view().running, crowd.admission.view().queued) == (0, 0)


async def test_one_who_leaves_just_as_its_place_comes_passes_it_on():
    crowd = Crowd(door(in_flight=1))
    victim = anyio.CancelScope()

    async def leave_and_cancel():
        async with crowd.admission.enter("generate"):
            await settle()
            victim.cancel()  # no await until the place is handed over, to one who is going already

    async def suffer():
        with victim:
            await crowd.job("victim")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leave_and_cancel)
        tasks.start_soon(suffer)
        tasks.start_soon(crowd.job, "behind")
    assert crowd.let_in == ["behind"]
    assert crowd.admission.view().running == 0
