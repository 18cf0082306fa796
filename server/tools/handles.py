"""What became of a fuse whose handle this process does not know: another one's, or one that died. From the store."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from mcp.types import INTERNAL_ERROR

from server import callers
from server.house import House
from server.mcp import tasks
from server.mcp.tasks import Known

DIED = (
    "The process that worked on this task ended before there was an answer. Call the tool again with the same arguments; "
    "`costs` shows what was spent."
)
NOT_KEPT = "This task was finished, but texts are not kept here ([store] texts), so its answer cannot be given again."


async def kept(app: Any, handle: str, caller: str) -> Any | None:
    """The finished fuse with this handle, of this caller."""
    from routing.fusion.result import revived

    if app.journal is None:
        return None
    answer, receipt = await app.journal.answer(handle, caller), await app.journal.receipt(handle, caller)
    return revived(answer, receipt) if answer is not None and receipt is not None else None


@asynccontextmanager
async def held(app: Any, caller: str) -> AsyncGenerator[None]:
    """While the block runs for a task, other processes know that this one works on it, and when it died at it."""
    task = tasks.current.get(None)
    if task is None or app.journal is None:
        yield
        return
    await app.journal.begin(task.id, caller)
    over = False
    try:
        yield
        over = True
    except Exception:
        over = True
        raise
    finally:
        if over or task.scope.cancel_called:  # else the process is ending, and who asks for the task shall be told so
            app.journal.end(task.id, caller)


async def known(house: House, ctx: Any, task_id: str) -> Known | None:
    """How a task stands that this process did not begin. None where nobody of this caller's did."""
    from .fuse import fused

    caller, app = callers.of(ctx), await house.app()
    if (result := await kept(app, task_id, caller)) is not None:
        house.answered(caller, result.id)
        wire = fused(result, full=False).model_dump(by_alias=True, mode="json", exclude_none=True)
        return Known("completed", {"result": wire})
    if app.journal is None or (lives := await app.journal.lives(task_id, caller)) is None:
        return None
    if await app.journal.receipt(task_id, caller) is not None:
        return _failed(NOT_KEPT)
    return Known("working") if lives else _failed(DIED)


def _failed(why: str) -> Known:
    return Known("failed", {"error": {"code": INTERNAL_ERROR, "message": why}})
