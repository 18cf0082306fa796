"""What OpenAI's two dialects and their many speakers share: keys, usage, reported prices, model lists, embeddings."""

import base64
import binascii
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import Malformed, ProviderError
from ..types import Capability, Embeddings, Listed, Usage
from . import Call
from ._draft import usage
from ._errors import classify, complaint
from ._json import amount, count, items, mapping, objects, scrub, string

_TICK = 1e-10  # USD; xAI's cost_in_usd_ticks, equal to genai-prices in 6 of 6 recordings
_CACHED = ("prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens")
_PRICED = frozenset({"cost_in_usd_ticks", "cost", "is_byok"})
_MOST_USD = 10_000.0  # a single call above this is a mistake, not a price
_WINDOWS = ("context_length", "max_context_length", "max_model_len", "context_window")
_ENDS = ("shutdown_date", "deprecation", "expiration_date")


def bearer(key: str | None) -> Mapping[str, str]:
    """The headers every speaker of OpenAI's formats takes."""
    return {"authorization": f"Bearer {key}"} if key else {}


def first(*values: Any) -> Any:
    """The first value that is there."""
    return next((value for value in values if value is not None), None)


class Speaker:
    """What a dialect of OpenAI's has beside its answers: keys, complaints, embeddings, model lists."""

    def headers(self, key: str | None) -> Mapping[str, str]:
        return bearer(key)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return classify(complaint(status, headers, body))

    def render_embed(self, texts: Sequence[str], model: str) -> Call:
        """At most 2,048 inputs and 300,000 tokens at OpenAI; splitting is the caller's work."""
        return Call("/embeddings", {"model": model, "input": list(texts), "encoding_format": "float"})

    def parse_embed(self, body: Any) -> Embeddings:
        return parse_embed(body)

    def render_list(self) -> Call:
        return Call("/models", method="GET")

    def parse_list(self, body: Any) -> tuple[Sequence[Listed], str | None]:
        return parse_list(body)


def chat_usage(raw: Any, *, beside: bool) -> Usage | None:
    """Usage of chat/completions. xAI counts reasoning beside `completion_tokens`: seen by the sum, or told by `beside`."""
    body = mapping(raw)
    given, produced, total = body.get("prompt_tokens"), body.get("completion_tokens"), body.get("total_tokens")
    if given is None and produced is None:
        return None
    read, made = mapping(body.get("prompt_tokens_details")), mapping(body.get("completion_tokens_details"))
    reasoning = made.get("reasoning_tokens")
    fed, spoken, thought = count(given), count(produced), count(reasoning)
    if fed is not None and spoken is not None and thought:
        apart = total == fed + spoken + thought or (beside and total != fed + spoken)
        produced = spoken + thought if apart else spoken
    cached = read.get("cached_tokens")
    if cached is None:
        cached = first(*(body.get(name) for name in _CACHED))
    tokens = usage(given, produced, cached=cached, write=read.get("cache_write_tokens"), reasoning=reasoning)
    return with_cost(tokens, body)


def with_cost(tokens: Usage, body: Mapping[str, Any]) -> Usage:
    """The usage with the price the provider reports; zero means it reports none (Grok on Azure)."""
    if _PRICED.isdisjoint(body):
        return tokens
    ticks, cost = amount(body.get("cost_in_usd_ticks")), body.get("cost")
    usd = ticks * _TICK if ticks else amount(mapping(cost).get("total_cost") if isinstance(cost, dict) else cost)
    if body.get("is_byok") is True:  # OpenRouter bills its fee, the caller's own key pays the rest
        usd = (usd or 0.0) + (amount(mapping(body.get("cost_details")).get("upstream_inference_cost")) or 0.0)
    return replace(tokens, cost_usd=usd) if usd and usd < _MOST_USD else tokens


def parse_list(body: Any) -> tuple[Sequence[Listed], str | None]:
    """Models of `GET /models`, whoever answers (Together sends a bare array)."""
    found = objects(body if isinstance(body, list) else mapping(body).get("data"))
    if not found and not isinstance(mapping(body).get("data", body), list):
        raise Malformed("The provider sent a model list that is none.")
    return tuple(_listed(entry) for entry in found if string(entry.get("id"))), None


def _listed(entry: dict[str, Any]) -> Listed:
    top, pricing = mapping(entry.get("top_provider")), mapping(entry.get("pricing"))
    end = next((string(entry.get(name)) for name in _ENDS if entry.get(name)), "")
    return Listed(
        id=scrub(entry["id"])[:200],
        context_window=first(*(count(entry.get(name)) for name in _WINDOWS)),
        max_output=first(count(top.get("max_completion_tokens")), count(entry.get("max_output_tokens"))),
        capabilities=_capabilities(entry),
        input_price=_per_million(pricing.get("prompt")),
        output_price=_per_million(pricing.get("completion")),
        retires=end[:10] or None,
    )


def _per_million(raw: Any) -> float | None:
    """USD per million tokens from OpenRouter's USD per token. What is free reads as unknown: its limits differ."""
    usd = amount(raw)
    return round(usd * 1e6, 9) if usd is not None else None


_PARAMETERS: dict[str, Capability] = {
    "tools": "tools",
    "structured_outputs": "json",
    "reasoning": "reasoning",
    "temperature": "sampling",
}


def _capabilities(entry: Mapping[str, Any]) -> frozenset[Capability] | None:
    """OpenRouter's alone are complete; Mistral's say nothing of JSON and sampling, so the catalogue knows better."""
    parameters = [string(item) for item in items(entry.get("supported_parameters"))]
    if not parameters:
        return None
    found: set[Capability] = {_PARAMETERS[name] for name in parameters if name in _PARAMETERS}
    if "image" in items(mapping(entry.get("architecture")).get("input_modalities")):
        found.add("vision")
    found.add("streaming")
    return frozenset(found)


def parse_embed(body: Any) -> Embeddings:
    """Read vectors in the order of their `index`. Raises Malformed where one is missing or no vector."""
    rows = objects(mapping(body).get("data"))
    if not rows:
        raise Malformed("The provider sent no embeddings.")
    order = [count(row.get("index", number)) for number, row in enumerate(rows)]
    if sorted(index if index is not None else -1 for index in order) != list(range(len(rows))):
        raise Malformed("The provider sent embeddings out of count.")
    vectors = {index: vector(row.get("embedding")) for index, row in zip(order, rows, strict=True)}
    counts = mapping(mapping(body).get("usage"))
    return Embeddings(
        vectors=tuple(vectors[index] for index in range(len(rows))),
        usage=usage(counts.get("prompt_tokens"), 0),
        model_returned=scrub(string(mapping(body).get("model")))[:200],
    )


def vector(raw: Any) -> tuple[float, ...]:
    """One vector, from numbers or from base64 of little-endian float32. Raises Malformed."""
    try:
        if isinstance(raw, str):
            data = base64.b64decode(raw, validate=True)
            return struct.unpack(f"<{len(data) // 4}f", data)
        numbers = tuple(float(number) for number in items(raw))
    except (ValueError, TypeError, OverflowError, struct.error, binascii.Error):
        numbers = ()
    if not numbers or any(number != number for number in numbers):  # noqa: PLR0124 - NaN is not equal to itself
        raise Malformed("The provider sent an embedding that is not a vector.")
    return numbers
