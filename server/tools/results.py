"""What a tool's call comes to: text and structure, each complete without the other (a host shows one of the two)."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from mcp.types import CallToolResult, TextContent

from routing.errors import InvalidRequest, Limited, Next, Refusal
from routing.store.faults import StoreFault
from routing.types import Receipt
from server import receipts
from server.mcp import scrub
from server.mcp.exact import BadArguments

RECEIPT = "plenum/receipt"
_log = logging.getLogger(__name__)


def prose(text: str, receipt: Receipt) -> CallToolResult:
    """An answer to read: one text block, ended by a newline because hosts join blocks bare."""
    return _result(f"{scrub.told(text)}\n", None, {RECEIPT: receipts.as_json(receipt)})


def data(content: Mapping[str, Any], receipt: Receipt | Mapping[str, Any] | None = None) -> CallToolResult:
    """An answer to use: the structure, and the same as JSON text."""
    whole = scrub.told_tree(dict(content))
    shown = receipts.as_json(receipt) if isinstance(receipt, Receipt) else receipt
    return _result(json.dumps(whole, ensure_ascii=False) + "\n", whole, {RECEIPT: shown} if shown else None)


def refused(fault: Exception) -> CallToolResult:
    """No answer, and why: the same facts as text and as structure."""
    refusal = as_refusal(fault)
    receipt = receipts.as_json(refusal.receipt) if refusal.receipt else None
    error = facts(refusal)
    content = scrub.told_tree({"error": error, "receipt": receipt})
    result = _result(_words(refusal, error), content, {RECEIPT: receipt} if receipt else None)
    result.is_error = True
    return result


def as_refusal(fault: Exception) -> Refusal:
    """Any fault as one of the contract's codes. What was not foreseen is logged by type and place only:

    the text of a stranger's exception may hold a key or a prompt.
    """
    if isinstance(fault, Refusal):
        return fault
    if isinstance(fault, BadArguments):
        return InvalidRequest(f"Invalid arguments: {fault}", hint="Correct the arguments named and call again.")
    if isinstance(fault, StoreFault):
        _log.error("the ledger is %s: %s", fault.state, fault.detail)
        return Limited(f"Nothing can be looked up or booked now: {fault}.", hint=f"{fault.hint}.", after=5)
    _log.error("unexpected %s in %s", type(fault).__name__, _place(fault))
    return Refusal(
        f"Plenum met an unexpected fault ({type(fault).__name__}); the server's log says where.",
        hint="Try once more; if it comes back, run `plenum doctor`.",
    )


def facts(refusal: Refusal) -> dict[str, Any]:
    """A refusal in the words of the contract."""
    return {
        "code": refusal.code,
        "message": refusal.message,
        "retryable": refusal.retryable,
        "retry_after_s": None if refusal.after is None else round(refusal.after, 1),
        "hint": refusal.hint,
        "next": _next(refusal.next_call),
    }


def _words(refusal: Refusal, error: Mapping[str, Any]) -> str:
    parts = [f"{refusal.message} [{refusal.code}]"]
    if error["retry_after_s"] is not None:
        parts.append(f"Retry after {error['retry_after_s']} s.")
    elif refusal.retryable:
        parts.append("Trying again may help.")
    if refusal.hint:
        parts.append(refusal.hint)
    if refusal.next_call:
        parts.append(f"Next: {refusal.next_call.tool} {json.dumps(refusal.next_call.arguments, ensure_ascii=False)}")
    if refusal.receipt and refusal.receipt.id:
        parts.append(f"({refusal.receipt.id})")
    return scrub.told(" ".join(parts)) + "\n"


def sentences(message: str, hint: str = "") -> str:
    """What happened and what to do, as whole sentences: for a shell, or a field that holds nothing else."""
    return " ".join(_sentence(text) for text in (message, hint) if text)


def _sentence(text: str) -> str:
    first = text.partition(" ")[0]
    begun = text if text.endswith(".") or not first.isalpha() else text[:1].upper() + text[1:]  # `sim/fast` is a name
    return begun if begun.endswith((".", "!", "?")) else f"{begun}."


def _next(call: Next | None) -> dict[str, Any] | None:
    return None if call is None else {"tool": call.tool, "arguments": dict(call.arguments)}


def _place(fault: BaseException) -> str:
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "nowhere" if trace is None else f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"


def _result(text: str, structured: Any, meta: dict[str, Any] | None) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=text)],
        structured_content=structured,
        _meta=scrub.told_tree(meta) if meta else None,
    )
