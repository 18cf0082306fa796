"""One timer a call, before the head too: it ends the wait, and is never taken for a cancellation by somebody else."""

import asyncio

import anyio
import pytest

from providers.errors import TimedOut
from providers.http.silence import Silence

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("idle", "total", "why"), [(0, 60, "Nothing came"), (60, 0, "as a whole")])
async def test_a_head_that_does_not_come_is_a_timeout_that_leaves_nothing_behind(idle, total, why):
    silence = Silence(idle, total)
    with pytest.raises(TimedOut, match=f"did not begin to answer.*{why}"):
        await silence.bound(anyio.sleep_forever())
    assert asyncio.current_task().cancelling() == 0


async def test_a_head_that_comes_leaves_the_timer_to_whoever_reads_on():
    silence, ended = Silence(0, 60), anyio.Event()

    async def head() -> str:
        return "head"

    assert await silence.bound(head()) == "head"
    silence.watch(ended.set)
    with anyio.fail_after(30):
        await ended.wait()
    assert silence.expired


async def test_whoever_stops_twice_stops_once():
    silence, ended = Silence(0, 60), anyio.Event()
    silence.watch(ended.set)
    silence.stop()
    silence.stop()
    await anyio.wait_all_tasks_blocked()
    assert not (ended.is_set() or silence.expired)


async def test_a_cancellation_by_somebody_else_passes():
    silence = Silence(60, 60)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await silence.bound(anyio.sleep_forever())
    assert scope.cancelled_caught and not silence.expired
    silence.stop()


async def test_a_cancellation_in_the_moment_of_the_deadline_wins():
    async def waited() -> None:
        asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)
        await silence.bound(anyio.sleep_forever())

    silence = Silence(0, 60)
    task = asyncio.get_running_loop().create_task(waited())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert silence.expired and task.cancelled()
