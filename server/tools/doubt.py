"""An answer in doubt, and a person who may send for a larger panel. Never the only way: without a yes the answer stands.

The answer is paid for and kept before anybody is asked. In 2026 its handle travels with the question, so that the call
that brings the person's word begins where the first one ended.
"""

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import anyio
from mcp.server.mcpserver import Context

from routing.errors import Refusal
from routing.store.faults import StoreFault
from server import elicit
from server.mcp import tasks
from server.mcp.exact import Outcome

from . import results
from .handles import kept


@dataclass(frozen=True, slots=True)
class Offer:
    """Ask everybody, for `usd` more at most than the answer with this handle cost."""

    handle: str
    usd: float

    @property
    def state(self) -> str:
        """As it goes with the question."""
        return json.dumps(asdict(self))


def offered(ctx: Context[Any, Any]) -> Offer | None:
    """What the person was asked about, where this call brings the word."""
    try:
        return Offer(**json.loads(ctx.request_state or ""))
    except (ValueError, TypeError):  # none, or another question's
        return None


def replayed(outcome: Outcome) -> bool:
    """Whether this answer was given before and did not arrive. It may have been a question that its host could not put."""
    receipt: dict[str, Any] = (outcome.meta or {}).get(results.RECEIPT, {})
    return receipt.get("cached") == "replayed"


async def doubted(ctx: Context[Any, Any], app: Any, outcome: Outcome, caller: str) -> Any | None:
    """The fuse this outcome tells of, if it needs review, can be taken up again, and somebody can be asked about it."""
    told: dict[str, Any] = getattr(outcome, "structured_content", None) or {}
    if not told.get("needs_review") or app.config.fusion.in_doubt != "ask" or not elicit.able(ctx):
        return None
    if tasks.current.get(None) is not None:  # its handle is out already, and stands for this answer
        return None
    try:
        return await kept(app, told["id"], caller)
    except StoreFault:
        return None


async def larger(ctx: Context[Any, Any], app: Any, ask: Any, first: Any, until: float) -> Any | None:
    """The ask of everybody, with the person's yes before the host's patience ends. Raises Unanswered."""
    from routing.fusion.further import further

    offer = offered(ctx) or await _offer(app, ask, first)
    if offer is None:
        return None
    app.journal.deliver(first.id, reached=False)  # should the host give up while its person thinks
    yes = None
    with anyio.move_on_after(max(0.0, until - anyio.current_time())):
        yes = await elicit.agreed(ctx, question(first, offer.usd), offer.state)
    app.journal.deliver(first.id, reached=True)
    return further(ask, first, offer.usd) if yes else None


def question(first: Any, usd: float) -> str:
    """What the person is asked; the sum in whole cents, never below what may be spent."""
    doubt = "The panel disagrees." if len(first.clusters) > 1 else "The panel's answer is in doubt."
    return f"{doubt} Ask a more thorough panel? It may cost up to ${math.ceil(usd * 100 - 1e-9) / 100:.2f} more."


async def _offer(app: Any, ask: Any, first: Any) -> Offer | None:
    own = ask.ask.max_cost_usd
    rooms = [] if own is None else [own - (first.cost_usd or 0.0)]
    if app.purse is not None and (room := app.purse.room_usd(ask.ask)) is not None:
        rooms.append(room)
    try:
        usd = await app.fusion.more(ask, first, min(rooms, default=None))
    except (Refusal, StoreFault):  # nobody may be asked now
        return None
    return None if usd is None else Offer(first.id, usd)
