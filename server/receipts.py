"""Receipts as JSON, in the words of the contract's §3: the one place that decides what of a receipt goes out."""

from dataclasses import asdict
from typing import Any

from routing.types import Attempt, Receipt

SHOWN = 20  # exclusions named in a receipt; the rest is counted


def as_json(receipt: Receipt) -> dict[str, Any]:
    """Everything a caller may see of a receipt."""
    return {
        "id": receipt.id,
        "conversation": receipt.conversation,
        "provider": receipt.provider,
        "model": receipt.model,
        "model_returned": receipt.model_returned,
        "strategy": receipt.strategy,
        "reasoning": receipt.reasoning,
        "finish_reason": receipt.finish_reason,
        "usage": usage(receipt),
        "cost_usd": usd(receipt.cost_usd),
        "cost_basis": receipt.cost_basis,
        "estimated_cost_usd": usd(receipt.estimated_cost_usd),
        "latency_s": round(receipt.latency_s, 4),
        "ttft_s": None if receipt.ttft_s is None else round(receipt.ttft_s, 4),
        "cached": receipt.cached,
        "simulated": receipt.simulated,
        "attempts": [_attempt(attempt) for attempt in receipt.attempts],
        "fallbacks": list(receipt.fallbacks),
        "excluded": [
            {"provider": e.deployment.provider, "model": e.deployment.model, "why": e.why}
            for e in receipt.excluded[:SHOWN]
        ],
        "excluded_count": max(receipt.excluded_count, len(receipt.excluded)),
        "context": [
            {**asdict(use), "resources": list(use.resources), "warnings": list(use.warnings)} for use in receipt.context
        ],
        **({"carbon_g": _grams(*receipt.carbon_g)} if receipt.carbon_g else {}),
        "warnings": list(receipt.warnings),
        **({"error": asdict(receipt.refusal)} if receipt.refusal else {}),
    }


def usd(amount: float | None) -> float | None:
    """Money as it is booked, to a billionth of a dollar: what adding up in floats leaves behind that is nobody's cost."""
    return None if amount is None else round(amount, 9)


def _grams(low: float, high: float) -> dict[str, float]:
    return {"low": round(low, 6), "high": round(high, 6)}


def usage(receipt: Receipt) -> dict[str, Any]:
    """Token counts as the contract names them."""
    used = receipt.usage
    return {
        "input": used.input,
        "output": used.output,
        "cached_input": used.cached_input,
        "cache_write": used.cache_write,
        "reasoning": used.reasoning,
        "estimated": used.estimated,
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "provider": attempt.provider,
        "model": attempt.model,
        "outcome": attempt.outcome,
        "reason": attempt.reason,
        "latency_s": round(attempt.latency_s, 4),
        "cost_usd": attempt.cost_usd,
    }
