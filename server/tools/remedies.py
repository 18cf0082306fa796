"""Refusals that a person's yes can undo: a name that was nearly right, a budget's edge, a border. Pure but for the asking."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import anyio
from mcp.server.mcpserver import Context

from routing.errors import BudgetExceeded, HoldsSecrets, KeyRefused, NoKeys, NoModel, PolicyForbids, Refusal
from routing.events import Progressed
from routing.types import Ask, Receipt
from server import callers, elicit
from server.mcp.exact import Asked
from server.progress import reported

T = TypeVar("T")
MOST = 3  # questions of one call


@dataclass(frozen=True, slots=True)
class Remedy:
    """A question, and the ask that a yes makes of it."""

    question: str
    ask: Ask
    need_usd: float = 0.0


async def persuaded(
    request: Asked, app: Any, ask: Ask, attempt: Callable[[Ask], Awaitable[T]], questions: int = MOST
) -> T:
    """What `attempt` comes to; where it is refused and a yes would help, the person is asked. Raises the refusal else."""
    try:
        return await attempt(ask)
    except Refusal as refusal:
        found = await _helped(request, app, ask, refusal) if questions else None
        if found is None:
            raise
    if found.need_usd:
        app.purse.allow(found.ask.id, found.need_usd)
    return await persuaded(request, app, found.ask, attempt, questions - 1)


async def _helped(request: Asked, app: Any, ask: Ask, refusal: Refusal) -> Remedy | None:
    """The remedy, once the person did their part."""
    ctx = elicit.context(request)
    if (provider := lacking(refusal)) is not None:
        return Remedy("", ask) if await _key_given(ctx, app, provider) else None
    found = remedy(app, ask, refusal)
    if found is None or not await elicit.agreed(ctx, found.question):
        return None
    return replace(found, ask=replace(found.ask, key=_key(ask, found.question)))


def lacking(refusal: Refusal) -> str | None:
    """The provider whose key would help, empty for any; None where no key would."""
    if isinstance(refusal, NoKeys):
        return refusal.provider
    if not isinstance(refusal, KeyRefused):
        return None
    receipt = refusal.receipt or Receipt("")
    keyless = [e.deployment.provider for e in receipt.excluded if e.code == "authentication"]
    return next(iter([*(a.provider for a in reversed(receipt.attempts)), *keyless]), "")


async def _key_given(ctx: Context[Any, Any], app: Any, provider: str) -> bool:
    """Whether the person stored a key on the page, where they can be sent there, while this host waits."""
    if app.key_desk is None:
        return False
    whose = f"A key of {provider} is needed" if provider else "A provider's key is needed"
    message = f"{whose}. Store one on a page of this machine? It is encrypted here, and no model sees it."
    page = await elicit.visited(ctx, message, partial(app.key_desk.page, provider))
    if page is None:
        return False
    async with reported(ctx.request_context) as tell:
        if tell is not None:
            tell(Progressed("", "waiting for a key on the page that was opened"))
        with anyio.move_on_after(callers.patience_s(ctx.request_context)):
            await page.given.wait()
    if page.given.is_set():
        await elicit.closed(ctx, page)
    return page.given.is_set()


def remedy(app: Any, ask: Ask, refusal: Refusal) -> Remedy | None:
    """The question that would help, if there is one. It follows from the refusal, so that asking again asks the same."""
    if isinstance(refusal, NoModel) and refusal.next_call is not None and refusal.next_call.tool == "generate":
        model = str(refusal.next_call.arguments.get("model", ""))
        if model and model != ask.model:
            return Remedy(f"{refusal.message} Ask {_shown(model)} instead?", replace(ask, model=model))
    if isinstance(refusal, BudgetExceeded) and refusal.may_ask and refusal.need_usd and app.purse is not None:
        question = f"This may cost up to ${refusal.need_usd:.2f} more than the budget allows. Spend it this once?"
        return Remedy(question, ask, refusal.need_usd)
    if isinstance(refusal, HoldsSecrets):
        if not refusal.may_ask:
            return None
        question = f"{refusal.message} Send it as it is, this once?"
        return Remedy(question, replace(ask, secrets_allowed=True))
    if isinstance(refusal, PolicyForbids) and app.config.security.allowed_regions and not ask.any_region:
        regions = ", ".join(app.config.security.allowed_regions)
        question = f"No model inside your allowed regions ({regions}) can answer. May this one question leave them?"
        return Remedy(question, replace(ask, any_region=True))
    return None


def _key(ask: Ask, question: str) -> str:
    """What was asked with this yes: it is no twin of the same ask without it, which is being refused."""
    return hashlib.sha256(f"{ask.key} {question}".encode()).hexdigest()


def _shown(model: str) -> str:
    return "any other model" if model == "auto" else model
