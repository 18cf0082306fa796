"""Builds `snapshot.json`; run by hand, never imported at run time.

    python -m providers.catalog.build_snapshot LITELLM_MODEL_MAP.json

Facts of models (windows, capabilities, end dates) come from litellm's model map, prices from the installed
genai-prices; both are MIT. Only facts of our providers' chat and embedding models are taken, one line per model.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

OURS = {
    "openai": "openai", "anthropic": "anthropic", "gemini": "gemini", "xai": "xai", "deepseek": "deepseek",
    "mistral": "mistral", "cohere": "cohere", "cohere_chat": "cohere", "groq": "groq", "together_ai": "together",
    "cerebras": "cerebras", "perplexity": "perplexity",
}  # fmt: skip
PRICED = {
    "openai": "openai", "anthropic": "anthropic", "google": "gemini", "x-ai": "xai", "deepseek": "deepseek",
    "mistral": "mistral", "cohere": "cohere", "groq": "groq", "together": "together", "cerebras": "cerebras",
    "perplexity": "perplexity", "openrouter": "openrouter", "azure": "azure",
}  # fmt: skip
ROUTED = "huggingface_"  # genai-prices lists the Hugging Face router by the provider behind it
CAPS = {
    "supports_function_calling": "t",
    "supports_response_schema": "j",
    "supports_vision": "v",
    "supports_reasoning": "r",
}
NOT_TEXT = re.compile(
    r"audio|realtime|image|tts|lyria|robotics|omni|container|^ft:|together-ai-|/preset/|moderation|guard|streaming|imagen|veo"
)
WEEKDAYS_ONLY = (["01:00", "04:00"], ["06:00", "10:00"])
CLAUDE_AT_GOOGLE = re.compile(r"^claude")  # genai-prices' google also holds Vertex's Claude


# Where both disagree and litellm cites the vendor's model page (guide of 2026-11-20).
CORRECTED = frozenset({"mistral-large-4"})
MOVED = {"mistral-large-latest": "mistral-large-2512"}


def main(source: Path, target: Path) -> None:
    """Write the snapshot beside this file."""
    raw = source.read_bytes()
    models = json.loads(raw)
    prices = {name: list(entries) for name, entries in _prices()}
    prices["mistral"] = [_corrected(entry, models) for entry in prices["mistral"]]
    about = {
        "made": datetime.now(UTC).date().isoformat(),
        "cards": f"litellm model map, sha256 {hashlib.sha256(raw).hexdigest()}, MIT",
        "prices": f"genai-prices {version('genai-prices')}, MIT",
    }
    target.write_text(_render(about, dict(_cards(models)), prices), encoding="utf-8")


def _render(
    about: object, cards: Mapping[str, Mapping[str, object]], prices: Mapping[str, list[Mapping[str, Any]]]
) -> str:
    def section(entries: Iterable[str]) -> str:
        return ",\n".join(entries)

    card_part = section(
        f"{_dump(name)}:{{\n"
        + section(f"{_dump(model)}:{_dump(facts)}" for model, facts in sorted(models.items()))
        + "\n}"
        for name, models in sorted(cards.items())
    )
    price_part = section(
        f"{_dump(name)}:[\n" + section(_dump(entry) for entry in entries) + "\n]"
        for name, entries in sorted(prices.items())
    )
    return f'{{"about":{_dump(about)},\n"cards":{{\n{card_part}\n}},\n"prices":{{\n{price_part}\n}}}}\n'


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _cards(models: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, dict[str, object]]]:
    for ours in sorted(set(OURS.values())):
        found: dict[str, object] = {}
        for key, entry in models.items():
            if OURS.get(str(entry.get("litellm_provider"))) != ours or NOT_TEXT.search(key):
                continue
            if entry.get("mode") in ("chat", "responses", "embedding"):
                name = re.sub(rf"^{re.escape(str(entry['litellm_provider']))}/", "", key)
                found.setdefault(name, _facts(entry))
        yield ours, found


def _facts(entry: Mapping[str, Any]) -> dict[str, object]:
    caps = "".join(letter for key, letter in CAPS.items() if entry.get(key))
    if entry.get("supports_sampling_params") is False:
        caps += "x"
    if entry["mode"] != "chat":
        caps += {"embedding": "e", "responses": "p"}[entry["mode"]]
    facts = {
        "in": _whole(entry.get("max_input_tokens")),
        "out": _whole(entry.get("max_output_tokens")),
        "caps": caps,
        "ends": entry.get("deprecation_date"),
    }
    return {key: value for key, value in facts.items() if value}


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _prices() -> Iterator[tuple[str, Iterator[Mapping[str, Any]]]]:
    from genai_prices.data import providers

    for provider in providers:
        if ours := PRICED.get(provider.id):
            yield ours, _entries(provider.models, skip=CLAUDE_AT_GOOGLE if ours == "gemini" else NOT_TEXT)
        elif provider.id.startswith(ROUTED):
            yield f"huggingface:{provider.id.removeprefix(ROUTED)}", _entries(provider.models, skip=NOT_TEXT)


def _entries(models: Iterable[Any], skip: re.Pattern[str]) -> Iterator[Mapping[str, Any]]:
    for model in models:
        if skip.search(model.id) or NOT_TEXT.search(model.id):
            continue
        rates = [rate for rate in map(_rate, _variants(model.prices)) if rate]
        if rates:
            exact, like = _matching(model.match)
            entry = {"id": model.id, "window": model.context_window, "rates": rates}
            entry["also"] = sorted({name for name in exact if name != model.id})
            entry["like"] = "|".join(like)
            yield {key: value for key, value in entry.items() if value}


def _corrected(entry: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    kept = {name for name in entry.get("also", ()) if name not in MOVED}
    also = sorted(kept | {name for name, target in MOVED.items() if target == entry["id"]})
    entry = {**{key: value for key, value in entry.items() if key != "also"}, **({"also": also} if also else {})}
    if entry["id"] not in CORRECTED:
        return entry
    said = models[f"mistral/{entry['id']}"]
    fields = {"in": "input_cost_per_token", "out": "output_cost_per_token", "hit": "cache_read_input_token_cost"}
    return {**entry, "rates": [{key: round(said[name] * 1e6, 6) for key, name in fields.items() if name in said}]}


def _variants(prices: Any) -> list[tuple[Any, Any]]:
    if not isinstance(prices, list):
        return [(None, prices)]
    return [(price.constraint, price.prices) for price in prices]  # pyright: ignore[reportUnknownVariableType,reportUnknownMemberType] - untyped rim


def _rate(variant: tuple[Any, Any]) -> dict[str, object] | None:
    constraint, price = variant
    fields = {
        "in": price.input_mtok,
        "out": price.output_mtok,
        "hit": price.cache_read_mtok,
        "write": price.cache_write_mtok,
    }
    if fields["in"] is None:
        return None
    if fields["out"] is None:
        fields["out"] = 0  # embeddings
    rate: dict[str, object] = {key: _base(value) for key, value in fields.items() if value is not None}
    starts = sorted({tier.start for value in fields.values() for tier in getattr(value, "tiers", ())})
    if starts:
        rate["tiers"] = [_tier(start, fields) for start in starts]
    if price.requests_kcount is not None:
        rate["call"] = float(price.requests_kcount / 1000)
    return {**rate, **_when(constraint)}


def _tier(start: int, fields: Mapping[str, Any]) -> Mapping[str, object]:
    # genai-prices fires above `start`; ours from `above` on.
    return {"above": start + 1} | {key: _at(value, start) for key, value in fields.items() if value is not None}


def _base(value: Any) -> float:
    return _number(getattr(value, "base", value))


def _at(value: Any, start: int) -> float:
    reached = [tier.price for tier in getattr(value, "tiers", ()) if tier.start <= start]
    return _number(reached[-1]) if reached else _base(value)


def _number(value: Any) -> float:
    number = float(value)
    return int(number) if number.is_integer() else number


def _when(constraint: Any) -> Mapping[str, object]:
    if constraint is None:
        return {}
    if isinstance(start := getattr(constraint, "start_date", None), date):
        return {"from": start.isoformat()}
    hours = [f"{moment:%H:%M}" for moment in (constraint.start_time, constraint.end_time)]
    # DeepSeek bills these off-peak all weekend (its pricing page, litellm's map); genai-prices cannot say so.
    return {"hours": hours} | ({"days": [1, 2, 3, 4, 5]} if hours in WEEKDAYS_ONLY else {})


def _matching(clause: Any) -> tuple[list[str], list[str]]:
    exact: list[str] = []
    like: list[str] = []
    for part in getattr(clause, "or_", [clause]):
        if hasattr(part, "equals"):
            exact.append(part.equals.lower())
        else:
            like.append(_pattern(part))
    return exact, like


def _pattern(clause: Any) -> str:
    forms = {"starts_with": "^{}", "ends_with": "{}$", "contains": "{}", "equals": "^{}$"}
    for kind, form in forms.items():
        if hasattr(clause, kind):
            return form.format(re.escape(getattr(clause, kind).lower()).replace(r"\-", "-"))
    if hasattr(clause, "and_"):
        return "^" + "".join(map(_ahead, clause.and_))
    return clause.regex


def _ahead(clause: Any) -> str:
    pattern = _pattern(clause)
    return f"(?={pattern.removeprefix('^')})" if pattern.startswith("^") else f"(?=.*(?:{pattern}))"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).with_name("snapshot.json"))
