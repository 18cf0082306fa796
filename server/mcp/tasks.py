"""Tasks (SEP-2663, `io.modelcontextprotocol/tasks`) on the SDK's Extension API: a call that takes long answers with a handle.

A listed tool's call becomes a task when the client declares the extension; it runs on beside the requests and is asked
for with `tasks/get`. Here it is in memory; `elsewhere` knows what became of tasks of other processes, and of those that died, and stops them.
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import anyio
import anyio.abc
from mcp import MCPError
from mcp.server.mcpserver import Extension, MethodBinding, authenticated_principal, require_client_extension
from mcp.shared.inbound import decode_header_value
from mcp.types import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    InputRequiredResult,
    RequestParams,
)
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

ID = "io.modelcontextprotocol/tasks"
MODERN = frozenset({"2026-07-28"})
TERMINAL = frozenset({"completed", "failed", "cancelled"})
Status = Literal["working", "input_required", "completed", "failed", "cancelled"]
current: ContextVar["Task"] = ContextVar("task")


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


class TaskParams(RequestParams):
    """Parameters that name a task."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
    task_id: str


class UpdateParams(TaskParams):
    """Answers to what a task asked."""

    input_responses: dict[str, Any] = Field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Terms:
    """How long tasks are kept, how often to look, how long a call may take before its handle is given; how many there are."""

    ttl_ms: int = 3_600_000
    poll_ms: int = 500
    settle_s: float = 0.05
    most: int = 1_000


@dataclass(frozen=True, slots=True)
class Known:
    """How a task stands that is not in this process."""

    status: Status
    payload: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Elsewhere(Protocol):
    """What other processes know, also those that ended. `ctx` is the SDK's context of who asks."""

    async def known(self, ctx: Any, task_id: str) -> Known | None:
        """How a task of this caller stands; None where nobody ever had it."""
        ...

    async def stop(self, ctx: Any, task_id: str) -> None:
        """Have it ended by whichever process works on it, and remember that. Raises MCPError."""
        ...


class Nowhere:
    """One process alone."""

    async def known(self, ctx: Any, task_id: str) -> Known | None:
        """Nobody else has tasks."""
        del ctx, task_id

    async def stop(self, ctx: Any, task_id: str) -> None:
        """Nobody else has to know."""
        del ctx, task_id


@dataclass(eq=False)
class Task:
    """One call on its way. Its id is unguessable: it is a capability, and bound to its owner besides."""

    owner: str | None
    terms: Terms
    expires: float
    id: str = field(default_factory=lambda: f"t_{secrets.token_urlsafe(18)}")
    status: Status = "working"
    created: str = field(default_factory=_now)
    updated: str = field(default_factory=_now)
    payload: dict[str, Any] = field(default_factory=dict[str, Any])  # result or error, once terminal
    asking: dict[str, Any] = field(default_factory=dict[str, Any])
    answers: dict[str, Any] = field(default_factory=dict[str, Any])
    changed: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    out: bool = False  # the client has the handle: from now on it is asked through it

    def move(self, status: Status, **payload: Any) -> None:
        """Change state; what has ended stays as it is."""
        if self.status in TERMINAL:
            return
        self.status, self.updated, self.payload = status, _now(), payload
        event, self.changed = self.changed, anyio.Event()
        event.set()

    def handle(self) -> dict[str, Any]:
        """What the call answers with."""
        return {
            "taskId": self.id,
            "status": self.status,
            "createdAt": self.created,
            "lastUpdatedAt": self.updated,
            "ttlMs": self.terms.ttl_ms,
            "pollIntervalMs": self.terms.poll_ms,
        }

    def detail(self) -> dict[str, Any]:
        """What `tasks/get` answers with."""
        asked = {"inputRequests": dict(self.asking)} if self.status == "input_required" else {}
        return self.handle() | self.payload | asked

    async def ask(self, requests: Mapping[str, BaseModel]) -> dict[str, Any]:
        """Ask the client in mid-task; returns when every question is answered. A key is used once in a task's life."""
        self.asking |= {key: _wire(request) for key, request in requests.items()}
        self.move("input_required")
        while not requests.keys() <= self.answers.keys():
            await self.changed.wait()
        return {key: self.answers[key] for key in requests}


class Tasks(Extension):
    """The extension. `tools` says by name whether a call may or must be a task."""

    identifier = ID

    def __init__(
        self,
        tools: Mapping[str, Literal["optional", "required"]],
        group: Callable[[], anyio.abc.TaskGroup],
        terms: Terms | None = None,
        clock: Callable[[], float] = time.monotonic,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._elsewhere = elsewhere or Nowhere()
        self._tools, self._group, self._terms, self._clock = dict(tools), group, terms or Terms(), clock
        self._store: dict[str, Task] = {}

    def methods(self) -> Sequence[MethodBinding]:
        """`tasks/get`, `tasks/update`, `tasks/cancel`."""
        return [
            MethodBinding("tasks/get", TaskParams, self._get, MODERN),
            MethodBinding("tasks/update", UpdateParams, self._update, MODERN),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, MODERN),
        ]

    async def intercept_tool_call(self, params: CallToolRequestParams, ctx: Any, call_next: Any) -> Any:
        """Answer a listed tool's call with a handle, if the client can use one."""
        mode = self._tools.get(params.name)
        capabilities = ctx.session.client_capabilities
        able = capabilities is not None and ID in (capabilities.extensions or {})
        if mode == "required" and not able:
            require_client_extension(ctx, ID)
        if mode is None or not able:
            return await call_next(ctx)
        return await self._begun(ctx, call_next)

    async def _begun(self, ctx: Any, call_next: Any) -> Any:
        self._forget_old()
        if len(self._store) >= self._terms.most:
            raise MCPError(INTERNAL_ERROR, "Too many tasks; fetch or cancel some.")
        task = Task(authenticated_principal(ctx), self._terms, self._clock() + self._terms.ttl_ms / 1000)
        asked: list[InputRequiredResult] = []
        self._group().start_soon(_work, task, ctx, call_next, asked)
        try:
            with anyio.move_on_after(self._terms.settle_s):  # long enough for a first question
                while task.status == "working":
                    await task.changed.wait()
        except anyio.get_cancelled_exc_class():  # the caller left before it had the handle
            task.scope.cancel()
            raise
        if asked:
            return asked[0]
        self._store[task.id], task.out = task, True  # kept before the handle leaves
        return {"resultType": "task", **task.handle()}

    def _find(self, ctx: Any, task_id: str) -> Task:
        if (task := self._here(ctx, task_id)) is None:
            raise MCPError(INVALID_PARAMS, "Unknown task")
        return task

    def _here(self, ctx: Any, task_id: str) -> Task | None:
        require_client_extension(ctx, ID)
        headers = getattr(ctx.request, "headers", None)
        if headers is not None and decode_header_value(headers.get("mcp-name")) != task_id:
            raise MCPError(HEADER_MISMATCH, "mcp-name header does not match params.taskId")
        self._forget_old()
        task = self._store.get(task_id)
        return task if task is not None and task.owner == authenticated_principal(ctx) else None

    async def _get(self, ctx: Any, params: TaskParams) -> dict[str, Any]:
        return (await self._anywhere(ctx, params.task_id)).detail()

    async def _anywhere(self, ctx: Any, task_id: str) -> Task:
        task = self._here(ctx, task_id)
        if task is None and task_id not in self._store:
            task = await self._remembered(ctx, task_id)
        if task is None:
            raise MCPError(INVALID_PARAMS, "Unknown task")
        return task

    async def _remembered(self, ctx: Any, task_id: str) -> Task | None:
        known = await self._elsewhere.known(ctx, task_id)
        if known is None:
            return None
        owner, expires = authenticated_principal(ctx), self._clock() + self._terms.ttl_ms / 1000
        return Task(owner, self._terms, expires, task_id, known.status, payload=dict(known.payload))

    async def _update(self, ctx: Any, params: UpdateParams) -> dict[str, Any]:
        task = self._find(ctx, params.task_id)
        for key, answer in params.input_responses.items():
            if task.asking.pop(key, None) is not None:  # what was not asked, or is answered, is ignored
                task.answers[key] = answer
        task.move("input_required" if task.asking else "working")
        return {}

    async def _cancel(self, ctx: Any, params: TaskParams) -> dict[str, Any]:
        task = await self._anywhere(ctx, params.task_id)
        if task.status not in TERMINAL:
            task.scope.cancel()
            try:
                await self._elsewhere.stop(ctx, task.id)
            except MCPError:
                if task.id not in self._store:  # else it has ended, whoever may hear of it
                    raise
        return {}

    def _forget_old(self) -> None:
        now = self._clock()
        for task_id in [key for key, task in self._store.items() if task.expires < now]:
            self._store.pop(task_id).scope.cancel()


async def _work(task: Task, ctx: Any, call_next: Any, asked: list[InputRequiredResult]) -> None:
    current.set(task)
    with task.scope:
        try:
            result = await call_next(ctx)
        except MCPError as fault:
            task.move("failed", error=_wire(fault.error))
            return
        if isinstance(result, InputRequiredResult):  # still gathering what it needs: no task yet
            asked.append(result)
            task.move("cancelled")
            return
        task.move("completed", result=_wire(result))
    if task.scope.cancelled_caught:
        task.move("cancelled")


def _wire(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)
