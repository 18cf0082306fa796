"""What is handed to a writer: whoever waits is told, whoever gave up waiting disturbs nobody."""

import anyio
import pytest

from routing.store.pending import Pending

pytestmark = pytest.mark.anyio


async def test_everybody_who_waits_is_told_and_one_who_was_cancelled_takes_nobody_along():
    pending: Pending[str] = Pending()
    told: list[str] = []
    gone, waiting = anyio.CancelScope(), 0

    async def wait(scope: anyio.CancelScope) -> None:
        nonlocal waiting
        with scope:
            waiting += 1
            told.append(await pending.wait())

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for scope in (anyio.CancelScope(), gone, anyio.CancelScope()):
                tasks.start_soon(wait, scope)
            while waiting < 3:
                await anyio.lowlevel.checkpoint()
            somebody = pending.awaited
            assert somebody
            gone.cancel()
            await anyio.lowlevel.checkpoint()
            pending.resolve("durable", None)
    assert told == ["durable"] * 2
    assert await pending.wait() == "durable"


async def test_cancelled_and_resolved_in_one_turn_it_stays_cancelled_and_resolved():
    pending: Pending[str] = Pending()
    found: list[object] = []
    pending.then(lambda result, error: found.append((result, error)))
    with anyio.CancelScope() as scope:
        pending.home.call_soon(scope.cancel)
        pending.home.call_soon(pending.resolve, "durable", None)
        await pending.wait()
        found.append("went on")
    assert found[0] == ("durable", None)
    assert scope.cancelled_caught == ("went on" not in found)


async def test_an_error_is_raised_for_each_who_asks():
    pending: Pending[str] = Pending()
    pending.resolve(None, LookupError("no"))
    for _ in range(2):
        with pytest.raises(LookupError, match="no"):
            await pending.wait()
