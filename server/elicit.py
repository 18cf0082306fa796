"""Asks the person behind a host, where the host can: a yes that turns a refusal into an answer. Never the only way.

In 2026 a question is a result and the answer comes with the same call, sent again; before, it is a request in mid-call.
Secrets are never asked for in a form: for a key the person is sent to a page (`server.keydesk`).
"""

from collections.abc import Callable
from typing import Any

from mcp.server.elicitation import AcceptedElicitation
from mcp.server.mcpserver import Context
from mcp.types import (
    CallToolRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitRequestURLParams,
    ElicitResult,
    InputRequiredResult,
)
from pydantic import BaseModel, Field, ValidationError

from server.keydesk import Page
from server.mcp import tasks
from server.mcp.exact import Asked, Unanswered

KEY, PAGE = "plenum_confirm", "plenum_key"


class Confirm(BaseModel):
    """Yes or no."""

    ok: bool = Field(title="Yes", description="Go ahead?")


_FORM = {
    "type": "object",
    "properties": {"ok": {"type": "boolean", "title": "Yes", "description": "Go ahead?"}},
    "required": ["ok"],
}


def context(request: Asked) -> Context[Any, Any]:
    """The call as one can be asked in: with the answers that came along."""
    params = CallToolRequestParams.model_validate(request.params, by_name=False)
    return Context(request_context=request, input_params=params)


def able(ctx: Context[Any, Any]) -> bool:
    """Whether this client can be asked."""
    capabilities = ctx.client_capabilities
    if capabilities is None or capabilities.elicitation is None:
        return False
    return (ctx.protocol_version or "") >= "2026" or ctx.request_context.session.can_send_request


async def agreed(ctx: Context[Any, Any], question: str, state: str = "") -> bool | None:
    """Yes, no, or None when this client cannot be asked. Raises Unanswered, which becomes the question itself.

    `state` stands for the question where more is to come back with the answer than its words.
    """
    if not able(ctx):
        return None
    if (task := tasks.current.get(None)) is not None and task.out:
        return _agrees(await _through(task, _form(question)))
    if (ctx.protocol_version or "") >= "2026":
        return _from_round(ctx, question, state or question)
    outcome = await ctx.elicit(question, Confirm)
    return isinstance(outcome, AcceptedElicitation) and outcome.data.ok


def _from_round(ctx: Context[Any, Any], question: str, state: str) -> bool:
    """The answer that came with this call. What was asked is sealed into the state: another question, another answer."""
    given = (ctx.input_responses or {}).get(KEY)
    if isinstance(given, ElicitResult) and ctx.request_state == state:
        return _agrees(given)
    raise Unanswered(InputRequiredResult(input_requests={KEY: _form(question)}, request_state=state))


def _form(question: str) -> ElicitRequest:
    return ElicitRequest(params=ElicitRequestFormParams(message=question, requested_schema=_FORM))


def _agrees(given: ElicitResult | None) -> bool:
    return given is not None and given.action == "accept" and bool((given.content or {}).get("ok"))


async def _through(task: tasks.Task, request: ElicitRequest) -> ElicitResult | None:
    """The answer of a client that has the task's handle: `tasks/get` shows it the question, `tasks/update` brings it."""
    key = f"{KEY}_{len(task.asking) + len(task.answers)}"
    given = (await task.ask({key: request}))[key]
    try:
        return ElicitResult.model_validate(given)
    except ValidationError:
        return None


async def visited(ctx: Context[Any, Any], message: str, opened: Callable[[], Page]) -> Page | None:
    """The page the person agreed to go to; None on a no, or where this client opens no links. Raises Unanswered.

    Only over stdio: there the page is on the person's own machine.
    """
    capabilities = ctx.client_capabilities
    asked = capabilities.elicitation if capabilities is not None else None
    if asked is None or asked.url is None or ctx.request_context.request is not None:
        return None
    if (ctx.protocol_version or "") >= "2026":
        page = opened()
        given = (ctx.input_responses or {}).get(PAGE)
        if isinstance(given, ElicitResult) and ctx.request_state == page.id:
            return page if given.action == "accept" else None
        request = ElicitRequest(params=ElicitRequestURLParams(message=message, url=page.url))
        raise Unanswered(InputRequiredResult(input_requests={PAGE: request}, request_state=page.id))
    session = ctx.request_context.session
    if not session.can_send_request:
        return None
    page = opened()
    outcome = await session.elicit_url(message, page.url, page.id, ctx.request_context.request_id)
    return page if outcome.action == "accept" else None


async def closed(ctx: Context[Any, Any], page: Page) -> None:
    """Tell a client of the earlier era that the person is done there."""
    if (ctx.protocol_version or "") < "2026":
        await ctx.request_context.session.send_elicit_complete(page.id, ctx.request_context.request_id)
