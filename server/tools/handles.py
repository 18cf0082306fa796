"""What became of a fuse whose handle this process does not know: another one's, or one that died. From the store."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp import MCPError
from mcp.types import INTERNAL_ERROR

from routing.background import background
from routing.errors import Refusal, told_again
from routing.store.faults import StoreFault
from routing.types import Reason
from server import callers
from server.house import House
from server.mcp import tasks
from server.mcp.tasks import Known

from . import results

DIED = (
    "The process that worked on this task ended before there was an answer. Call the tool again with the same arguments; "
    "`costs` shows what was spent."
)
NOT_KEPT = "This task was finished, but texts are not kept here ([store] texts), so its answer cannot be given again."
LOOK_S = 1.0  # between looks whether another process was asked to end a task of ours


async def kept(app: Any, handle: str, caller: str) -> Any | None:
    """The finished fuse with this handle, of this caller."""
    from routing.fusion.result import revived

    if app.journal is None:
        return None
    answer, receipt = await app.journal.answer(handle, caller), await app.journal.receipt(handle, caller)
    return revived(answer, receipt) if answer is not None and receipt is not None else None


async def refused(app: Any, handle: str, caller: str) -> Refusal | None:
    """The refusal that what this handle stands for ended with."""
    receipt = await app.journal.receipt(handle, caller) if app.journal is not None else None
    return told_again(receipt.refusal, receipt) if receipt is not None and receipt.refusal is not None else None


@asynccontextmanager
async def held(app: Any, caller: str) -> AsyncGenerator[None]:
    """While the block runs for a task, other processes know that this one works on it, and when it died at it; they can
    have it ended, and read why it was refused.
    """
    task = tasks.current.get(None)
    if task is None or app.journal is None:
        yield
        return
    await app.journal.begin(task.id, caller)
    over = False
    try:
        async with background() as beside:
            beside.start_soon(_watched, app.journal, task, caller)
            yield
        over = True
    except Exception as fault:  # noqa: BLE001 - whatever it was is raised again, in our words
        over, refusal = True, results.as_refusal(fault)
        await app.journal.refuse(task.id, caller, Reason(refusal.code, refusal.message, refusal.hint))
        raise refusal from None
    finally:
        if over or task.scope.cancel_called:  # else the process is ending, and who asks for the task shall be told so
            app.journal.end(task.id, caller)


async def _watched(journal: Any, task: tasks.Task, caller: str) -> None:
    """End the task when another process was asked to."""
    while True:
        await anyio.sleep(LOOK_S)
        try:
            if await journal.stopped(task.id, caller):
                task.scope.cancel()
                return
        except StoreFault:
            continue  # the next look may see


class Handles:
    """`Elsewhere` over the store."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def known(self, ctx: Any, task_id: str) -> Known | None:
        """How a task stands that this process did not begin. None where nobody of this caller's did."""
        from .fuse import fused

        caller, app = callers.name(ctx), await self._house.app()
        if (result := await kept(app, task_id, caller)) is not None:
            self._house.answered(caller, result.id)
            return _completed(fused(result, full=False))
        if app.journal is None:
            return None
        if lives := await app.journal.lives(task_id, caller):
            return Known("working")
        if (refusal := await refused(app, task_id, caller)) is not None:
            return _completed(results.refused(refusal))
        if await app.journal.stopped(task_id, caller):
            return Known("cancelled")
        if lives is None:
            return None
        return _failed(DIED if await app.journal.receipt(task_id, caller) is None else NOT_KEPT)

    async def stop(self, ctx: Any, task_id: str) -> None:
        """Leave a mark where the process that works on it looks."""
        app = await self._house.app()
        try:
            if app.journal is not None:
                await app.journal.stop(task_id, callers.name(ctx))
        except StoreFault as fault:
            told = f"Whoever works on this task cannot be told to stop: {fault}. Try again."
            raise MCPError(INTERNAL_ERROR, told) from None


def _completed(result: Any) -> Known:
    return Known("completed", {"result": result.model_dump(by_alias=True, mode="json", exclude_none=True)})


def _failed(why: str) -> Known:
    return Known("failed", {"error": {"code": INTERNAL_ERROR, "message": why}})
