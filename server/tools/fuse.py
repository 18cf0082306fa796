"""`fuse`: several models asked the same, one answer with agreement, confidence and dissent. The fusing is `routing.fusion`'s."""

import secrets
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

import anyio
from mcp.server.mcpserver import Context
from pydantic import Field

from providers.types import Request
from routing.errors import InvalidRequest, Refusal
from routing.types import Ask, Receipt
from server import callers, elicit
from server.house import House, sound
from server.jobs import Job
from server.mcp import tasks
from server.mcp.apps import VIEW
from server.mcp.exact import Arguments, Asked, ExactTool, Label, Outcome, Whole, tool

from . import dialogue, results
from .doubt import doubted, larger, offered, replayed
from .generate import digest
from .handles import held, kept, refused
from .remedies import persuaded
from .waiting import Call, Shape

NAME = "fuse"
_OUTPUT = {
    "type": "object",
    "properties": {
        "answer": {},
        "summary": {"type": "string"},
        "status": {"type": "string"},
        "confidence": {"type": "object"},
        "agreement": {"type": "object"},
        "needs_review": {"type": "boolean"},
        "dissent": {"type": "array"},
        "cost_usd": {"type": ["number", "null"]},
        "id": {"type": "string"},
    },
    "required": ["answer", "summary", "status", "id"],
}
LABEL = Label(
    NAME,
    "Ask several models and compare",
    output=_OUTPUT,
    meta={**VIEW, "anthropic/alwaysLoad": True, "anthropic/searchHint": "ask several models, compare, vote"},
)


class Fuse(Arguments):
    """Ask several different models the same question and get one answer with how far they agree. Use it when being wrong
    is expensive: facts, sums, choices, reviews, decisions. It stops once more votes could not change the result; check it when
    needs_review is true. Needs `prompt` or `messages`. Examples:
    {"prompt": "Is this lock-free queue correct? …", "answer": "choice", "choices": ["yes", "no"]} ·
    {"prompt": "17% of 2,340?", "effort": "thorough"}
    """

    prompt: str = ""
    messages: Annotated[list[dialogue.Turn], Field(max_length=1000), dialogue.LOOSE] = Field(
        default_factory=list[dialogue.Turn]
    )
    models: Annotated[list[str], Field(description="Omitted: a diverse panel", max_length=50)] = Field(
        default_factory=lambda: ["auto"]
    )
    answer: Annotated[
        Literal["auto", "choice", "number", "math", "literal", "json", "label", "code", "text"],
        Field(description="What is compared; omitted: inferred"),
    ] = "auto"
    choices: list[str] = Field(default_factory=list[str], max_length=100)
    output: Annotated[dict[str, Any], Field(alias="schema")] = Field(default_factory=dict[str, Any])
    method: Annotated[
        str, Field(description="vote, weighted, semantic, select, synthesize, collect; omitted: fits", max_length=64)
    ] = "auto"
    effort: Annotated[
        Literal["quick", "balanced", "thorough"] | None, Field(description="First asks 2, 3 or all; default quick")
    ] = None
    min_agreement: Annotated[float, Field(ge=0, le=1)] = 0.66
    min_confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    on_low: Annotated[Literal["flag", "escalate", "abstain"], Field(description="Default flag")] = "flag"
    judge: Annotated[str, Field(description="host, auto or a model", max_length=200)] = ""
    system: str = ""
    images: list[str] = Field(default_factory=list[str], max_length=32)
    context: list[str] = Field(default_factory=lambda: ["auto"], max_length=32)
    conversation: Annotated[str, Field(max_length=128)] = ""
    max_cost_usd: Annotated[float, Field(ge=0)] | None = None
    max_latency_s: Annotated[float, Field(gt=0, le=86_400)] | None = None
    max_calls: Annotated[Whole, Field(ge=1, le=50)] | None = None
    request_id: Annotated[str, Field(max_length=128)] = ""
    explain: bool = False
    detail: Literal["summary", "full"] = "summary"


def fuse(house: House) -> ExactTool:
    """The tool."""

    async def handle(arguments: Fuse, request: Asked) -> Outcome:
        return await _handle(house, arguments, request)

    return tool(LABEL, Fuse, handle, results.refused)


async def _handle(house: House, arguments: Fuse, request: Asked) -> Outcome:
    caller = callers.name(request)

    def done(result: Any) -> Outcome:
        house.answered(caller, result.id)
        return fused(result, full=arguments.detail == "full")

    call = Call(house, request, Shape(done, running), anyio.current_time() + callers.patience_s(request))
    resuming = arguments.request_id and not arguments.prompt and not arguments.messages
    if resuming:
        return await _resumed(house, call, arguments.request_id, caller)
    ask = ask_of(arguments, caller)
    app = sound(await house.app())
    if arguments.explain:
        return fused(await app.fusion.explain(whole(arguments, ask)), full=True)

    async def attempt(ask: Ask) -> Outcome:
        async with held(app, caller):
            return await call.carried(app, "fuse", ask, partial(app.fusion.fuse, whole(arguments, ask)))

    ctx = elicit.context(request)
    offer = offered(ctx)
    known = await kept(app, offer.handle, caller) if offer else None
    outcome = done(known) if known else await persuaded(request, app, ask, attempt)
    if replayed(outcome) and not arguments.request_id:
        return outcome
    first = await doubted(ctx, app, outcome, caller)
    return (await _larger(call, ctx, app, arguments, first) if first else None) or outcome


async def _larger(call: Call, ctx: Context[Any, Any], app: Any, arguments: Fuse, first: Any) -> Outcome | None:
    """What a larger panel says, where a person wants one. Refused, the first answer stands and says why."""
    assert call.until is not None, "questions take time"
    again = ask_of(arguments, callers.name(call.request))
    ask = await larger(ctx, app, whole(arguments, again), first, call.until)
    if ask is None:
        return None
    try:
        return await call.carried(app, "fuse", ask.ask, partial(app.fusion.fuse, ask))
    except Refusal as refusal:
        note = f"a larger panel was wanted and could not be asked: {refusal.message}"
        return call.shape.done(replace(first, reasons=(*first.reasons, note)))


async def _resumed(house: House, call: Call, handle: str, caller: str) -> Outcome:
    if (job := house.jobs.find(caller, handle)) is not None:
        return await call.waited(job)
    if (result := await kept(await house.app(), handle, caller)) is not None:
        return call.shape.done(result)
    raise await refused(await house.app(), handle, caller) or InvalidRequest(
        "Nothing is running or kept under this request_id.", hint="Send the prompt again, with or without request_id."
    )


def ask_of(arguments: Fuse, caller: str) -> Ask:
    """The envelope and the prompt. Raises InvalidRequest."""
    turns, system = dialogue.turns(arguments.prompt, arguments.messages, arguments.images)
    task = tasks.current.get(None)  # its handle must lead to the answer in every process
    return Ask(
        Request(
            messages=turns,
            system="\n\n".join(part for part in (arguments.system, system) if part),
            schema=arguments.output or None,
        ),
        max_cost_usd=arguments.max_cost_usd,
        max_latency_s=arguments.max_latency_s,
        caller=caller,
        request_id=arguments.request_id or None,
        conversation=arguments.conversation or None,
        sources=tuple(arguments.context),
        id=task.id if task else f"f_{secrets.token_urlsafe(12)}",
        key=f"{NAME}:{digest(arguments)}",
    )


def whole(arguments: Fuse, ask: Ask) -> Any:
    """What the caller meant, for fusion."""
    from routing.fusion.ask import FuseAsk

    return FuseAsk(
        ask,
        models=None if arguments.models == ["auto"] else tuple(arguments.models),
        answer=arguments.answer,
        choices=tuple(arguments.choices),
        method=arguments.method or "auto",
        effort=arguments.effort,
        min_agreement=arguments.min_agreement,
        min_confidence=arguments.min_confidence,
        on_low=arguments.on_low,
        judge=arguments.judge or None,
        max_calls=arguments.max_calls,
    )


def fused(result: Any, *, full: bool) -> Outcome:
    """The result as structure and as the same in text; the receipt of the whole tree beside it."""
    content = result.told(full=full)
    if not full:
        content["texts_uri"] = f"plenum://answers/{result.id}"
    return results.data(content, result.receipt)


def running(job: Job) -> Outcome:
    """How it stands, and how to get the rest."""
    more = f'Still running – call {NAME} again with {{"request_id": "{job.handle}"}}; nothing is paid twice.'
    content = {
        "answer": None,
        "summary": f"{job.phase}. {more}" if job.phase else more,
        "status": "running",
        "id": job.handle,
        "request_id": job.handle,
    }
    return results.data(content, Receipt(id=job.handle, finish_reason="running"))
