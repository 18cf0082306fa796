"""`generate`: one answer from the model that fits. Arguments in, an `Ask` for the manager, text or structure out."""

import hashlib
import json
import secrets
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from providers.types import Answer, Capability, Effort, Request, Tool
from routing.errors import InvalidRequest, told_again
from routing.types import UNASKED, Ask, CacheMode, Receipt, Result
from server import callers, receipts
from server.house import House
from server.jobs import Job
from server.mcp.exact import Arguments, Asked, ExactTool, Label, Outcome, Whole, tool

from . import dialogue, results
from .remedies import persuaded
from .waiting import Call, Shape

NAME = "generate"
LABEL = Label(
    NAME, "Ask one model", meta={"anthropic/alwaysLoad": True, "anthropic/searchHint": "ask another language model"}
)

_FUNCTIONS = {
    "type": "array",
    "items": {"type": "object"},
    "description": "Functions the model may call: name, description, parameters",
}
_SORTED = json.JSONEncoder(sort_keys=True)  # `json.dumps` makes one for each call


class Options(Arguments):
    """Rarely needed."""

    cache: CacheMode | None = None
    reasoning: Effort | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Whole | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    min_quality: Annotated[float, Field(ge=0, le=1)] | None = None
    hedge: bool = False
    allow_truncated: bool = False
    tools: Annotated[list[dialogue.Function], WithJsonSchema(_FUNCTIONS)] = Field(
        default_factory=list[dialogue.Function], max_length=128
    )
    tool_choice: Annotated[str, Field(max_length=64)] = "auto"


class Generate(Arguments):
    """Ask another language model. Use it for a second opinion, a cheaper or stronger model, a picture to be described,
    or bulk text. Plenum picks the model, retries elsewhere when one fails, keeps to the
    budget, and returns the answer with what it cost. Needs `prompt` or `messages`; the rest may be omitted.
    Examples: {"prompt": "Summarise: …", "strategy": "cost"} ·
    {"prompt": "List three risks", "model": "anthropic/", "schema": {"type": "array", "items": {"type": "string"}}}
    """

    prompt: Annotated[str, Field(description="What to ask")] = ""
    messages: Annotated[list[dialogue.Turn], Field(description="A dialogue instead of prompt", max_length=1000)] = (
        Field(default_factory=list[dialogue.Turn])
    )
    model: Annotated[
        str,
        Field(
            description="provider/model exactly, provider/, a bare name or a group; omitted: Plenum chooses",
            max_length=200,
        ),
    ] = "auto"
    strategy: Annotated[
        str,
        Field(
            description="cost, quality, performance, balanced, carbon or cascade; omitted: as configured", max_length=64
        ),
    ] = ""
    task: Annotated[str, Field(description="Label such as code or math", max_length=64)] = ""
    system: Annotated[str, Field(description="Instructions")] = ""
    max_tokens: Annotated[Whole, Field(ge=1, le=1_000_000)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    stop: list[str] = Field(default_factory=list[str], max_length=16)
    output: Annotated[dict[str, Any], Field(alias="schema", description="JSON Schema the answer must meet")] = Field(
        default_factory=dict[str, Any]
    )
    images: Annotated[list[str], Field(description="https or data: URLs", max_length=32)] = Field(
        default_factory=list[str]
    )
    require: list[Capability] = Field(default_factory=list[Capability], max_length=8)
    max_cost_usd: Annotated[float, Field(ge=0)] | None = None
    max_latency_s: Annotated[float, Field(gt=0, le=86_400)] | None = None
    context: Annotated[list[str], Field(description='Upstream servers; ["none"] for none', max_length=32)] = Field(
        default_factory=lambda: ["auto"]
    )
    conversation: Annotated[str, Field(description="Id of an answer to continue", max_length=128)] = ""
    request_id: Annotated[
        str, Field(description="Own id for safe repeats; fetches a running answer", max_length=128)
    ] = ""
    explain: Annotated[bool, Field(description="Only say who would be asked, at what price")] = False
    format: Annotated[Literal["text", "json"], Field(description="Default text")] = "text"
    options: Options = Field(default_factory=Options)


def generate(house: House) -> ExactTool:
    """The tool."""

    async def handle(arguments: Generate, request: Asked) -> Outcome:
        return await _handle(house, arguments, request)

    return tool(LABEL, Generate, handle, results.refused)


async def _handle(house: House, arguments: Generate, request: Asked) -> Outcome:
    caller = callers.name(request)

    def done(result: Result) -> Outcome:
        house.answered(caller, result.receipt.id)
        return answered(result, arguments)

    call = Call(house, request, Shape(done, partial(running, arguments=arguments)))
    if arguments.request_id and not arguments.prompt and not arguments.messages:
        job = house.jobs.find(caller, arguments.request_id)
        return await call.waited(job) if job else await _replayed(await house.app(), arguments, caller)
    ask = ask_of(arguments, caller)
    app = await house.app()
    if arguments.explain:
        receipt = await app.manager.explain(ask)
        return results.data(decided(receipt), receipt)

    async def attempt(ask: Ask) -> Outcome:
        return await call.carried(app, "generate", ask, partial(app.manager.generate, ask))

    return await persuaded(request, app, ask, attempt)


async def _replayed(app: Any, arguments: Generate, caller: str) -> Outcome:
    """The answer known under a handle that no job of this process has: another process, or an earlier one, gave it."""
    if app.journal is not None:
        receipt = await app.journal.receipt(arguments.request_id, caller)
        answer = await app.journal.answer(arguments.request_id, caller)
        if receipt is not None and answer is not None:
            return answered(Result(answer, receipt), arguments)
        if receipt is not None and receipt.refusal is not None:
            raise told_again(receipt.refusal, receipt)
    raise InvalidRequest(
        "Nothing is running or kept under this request_id.", hint="Send the prompt again, with or without request_id."
    )


def ask_of(arguments: Generate, caller: str) -> Ask:
    """What the caller meant, for the manager. Raises InvalidRequest."""
    options = arguments.options
    turns, system = dialogue.turns(arguments.prompt, arguments.messages, arguments.images)
    request = Request(
        messages=turns,
        system="\n\n".join(part for part in (arguments.system, system) if part),
        max_tokens=arguments.max_tokens,
        temperature=arguments.temperature,
        top_p=options.top_p,
        seed=options.seed,
        frequency_penalty=options.frequency_penalty,
        presence_penalty=options.presence_penalty,
        stop=tuple(arguments.stop),
        schema=arguments.output or None,
        tools=tuple(Tool(f.name, f.description, f.parameters) for f in options.tools),
        tool_choice=options.tool_choice,
        reasoning=options.reasoning,
    )
    return Ask(
        request=request,
        model=arguments.model or "auto",
        strategy=arguments.strategy or None,
        task=arguments.task or None,
        require=frozenset(arguments.require),
        min_quality=options.min_quality,
        max_cost_usd=arguments.max_cost_usd,
        max_latency_s=arguments.max_latency_s,
        caller=caller,
        request_id=arguments.request_id or None,
        conversation=arguments.conversation or None,
        cache=options.cache,
        hedge=options.hedge,
        allow_truncated=options.allow_truncated,
        sources=tuple(arguments.context),
        id=f"g_{secrets.token_urlsafe(12)}",
        key=digest(arguments),
    )


def digest(arguments: Arguments) -> str:
    """What was asked, without how it is called: equal for equal arguments."""
    given = arguments.model_fields_set - {"request_id", "format"}  # what was not given is at its default
    said = arguments.model_dump(mode="json", include=given, exclude_defaults=True)
    return hashlib.sha256(_SORTED.encode(said).encode()).hexdigest()


def decided(receipt: Receipt) -> dict[str, Any]:
    """Who would be asked, and why."""
    candidates = [{"model": name, "score": round(score, 4)} for name, score in receipt.candidates]
    return {"decision": receipts.as_json(receipt), "candidates": candidates}


def running(job: Job, arguments: Generate) -> Outcome:
    """The text so far, and how to get the rest."""
    receipt = Receipt(id=job.handle, finish_reason="running")
    more = f'still running – call {NAME} again with {{"request_id": "{job.handle}"}} for the rest; it is not paid twice'
    if arguments.format == "json" or arguments.output:
        content = {"answer": job.text, "finish_reason": "running", "id": job.handle, "request_id": job.handle}
        return results.data({**content, "warnings": [more]}, receipt)
    return results.prose(f"{job.text}\n\n— {more}" if job.text else f"— {more}", receipt)


def answered(result: Result, arguments: Generate) -> Outcome:
    """An answer as text with a footer, or as a structure."""
    if arguments.format == "json" or arguments.output:
        return results.data(structure(result, arguments), result.receipt)
    calls = [json.dumps(call) for call in _calls(result.answer)]
    text = "\n".join([result.answer.text, *calls]) if calls else result.answer.text
    return results.prose(f"{text}\n\n{closing(result.receipt)}", result.receipt)


def structure(result: Result, arguments: Generate) -> dict[str, Any]:
    """The answer as the contract's structured form has it."""
    receipt = result.receipt
    calls = _calls(result.answer)
    return {
        "answer": _value(result.answer.text) if arguments.output else result.answer.text,
        "provider": receipt.provider,
        "model": receipt.model,
        "finish_reason": receipt.finish_reason,
        "usage": receipts.usage(receipt),
        "cost_usd": receipts.usd(receipt.cost_usd),
        "latency_s": round(receipt.latency_s, 4),
        "id": receipt.id,
        "conversation": receipt.conversation,
        **({"tool_calls": calls} if calls else {}),
        "warnings": list(receipt.warnings),
    }


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text  # an answer cut short that the caller allowed


def _calls(answer: Answer) -> list[dict[str, Any]]:
    return [{"id": call.id, "name": call.name, "arguments": _value(call.arguments)} for call in answer.tool_calls]


def closing(receipt: Receipt) -> str:
    """What stands under an answer: what its reader should know of it, then the footer, always the last line."""
    notes = [f"note: {warning}" for warning in receipt.warnings if not warning.startswith(UNASKED)]
    return "\n".join([*notes, footer(receipt)])


def footer(receipt: Receipt) -> str:
    """One line under the answer: who, how much, how long, and the id that everything hangs on."""
    parts = [
        f"— {receipt.provider}/{receipt.model}",
        money(receipt.cost_usd),
        f"{receipt.latency_s:.1f} s",
        receipt.id,
        *(["cached"] if receipt.cached != "no" else []),
    ]
    return " · ".join(parts)


def money(usd: float | None) -> str:
    """An amount with the digits that matter."""
    if usd is None:
        return "cost unknown"
    return f"${usd:.2f}" if usd >= 1 or usd == 0 else f"${usd:.3g}" if usd >= 1e-4 else f"${usd:.6f}"
