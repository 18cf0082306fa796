"""`tasks/cancel` where the store cannot be written: a task of this process ends all the same, another's cannot be told."""

from types import SimpleNamespace

import anyio
import pytest
from mcp import MCPError
from mcp.types import INTERNAL_ERROR, CallToolResult

from server.mcp.tasks import ID, Known, TaskParams, Tasks

pytestmark = pytest.mark.anyio
CTX = SimpleNamespace(
    request=None, session=SimpleNamespace(client_capabilities=SimpleNamespace(extensions={ID: {}})), meta=None
)


class Unwritable:
    """Another process works on `t_theirs`; nobody can be told anything."""

    async def known(self, ctx, task_id):
        return Known("working") if task_id == "t_theirs" else None

    async def stop(self, ctx, task_id):
        raise MCPError(INTERNAL_ERROR, "Nobody can be told.")


async def test_a_task_of_ones_own_ends_and_of_anothers_it_is_said_that_nobody_could_be_told() -> None:

    async def silent(_) -> CallToolResult:
        await anyio.sleep_forever()

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            tasks = Tasks({"fuse": "optional"}, lambda: group, elsewhere=Unwritable())
            (get, _, cancel) = [binding.handler for binding in tasks.methods()]
            begun = await tasks.intercept_tool_call(SimpleNamespace(name="fuse"), CTX, silent)
            own = TaskParams(task_id=begun["taskId"])
            assert await cancel(CTX, own) == {}
            while (await get(CTX, own))["status"] != "cancelled":
                await anyio.lowlevel.checkpoint()
            with pytest.raises(MCPError, match="Nobody can be told"):
                await cancel(CTX, TaskParams(task_id="t_theirs"))
            with pytest.raises(MCPError, match="Unknown"):
                await cancel(CTX, TaskParams(task_id="t_nobodys"))
