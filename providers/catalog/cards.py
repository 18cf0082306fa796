"""What is known of a model before calling it.

Resolution, strongest first: configuration > the provider's live list > bundled snapshot > what the name says > a
conservative default (`known=False`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

from ..types import Capability, Effort, Listed, ModelCard
from .aliases import alias
from .prices import entry_of
from .rows import canonical, row, rows
from .snapshot import snapshot, table

# What routers of many vendors call those we have a row for.
VENDORS: Mapping[str, str] = {
    "openai": "openai", "anthropic": "anthropic", "google": "gemini", "x-ai": "xai", "deepseek": "deepseek",
    "deepseek-ai": "deepseek", "mistralai": "mistral", "cohere": "cohere", "perplexity": "perplexity",
}  # fmt: skip
_DATE = re.compile(r"-20\d{2}-?[01]\d-?[0-3]\d$")
_BILLIONS = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)b(?![a-z0-9])")
_ACTIVE = re.compile(r"(?<![a-z0-9.])a(\d+(?:\.\d+)?)b(?![a-z0-9])")
_LETTERS: Mapping[str, Capability] = {"t": "tools", "j": "json", "v": "vision", "r": "reasoning"}


@dataclass(frozen=True, slots=True)
class Override:
    """What the configuration says of a model; None is not said. `base` names a model to inherit from."""

    context_window: int | None = None
    max_output: int | None = None
    capabilities: frozenset[Capability] | None = None
    quality: Mapping[str, float] | None = None
    family: str | None = None
    base: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """What a name says of a model: see `families.toml`."""

    match: re.Pattern[str]
    quality: str
    efforts: tuple[Effort, ...] = ()
    sampling: bool = True
    flags: frozenset[str] = frozenset()
    caps: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """A line of models; `caps`, `window` and `out` are the least that all its current members have."""

    name: str
    match: re.Pattern[str]
    open: bool = False
    caps: str = ""
    window: int = 8192
    out: int = 4096


def card(provider: str, model: str, listed: Listed | None = None, override: Override | None = None) -> ModelCard:
    """What is known of `model` at `provider`, overlaid by the provider's live list and by configuration."""
    said = override or Override()
    here = canonical(provider)
    found = _bundled(here, model)
    if said.base:  # one's own deployment or tuning: it does not end on the day its maker's model does
        found = replace(_bundled(*_base(here, said.base)), retires=None, replaced_by=None)
    if listed is not None:
        found = _live(found, listed)
    return _configured(replace(found, id=model), said)


def models(provider: str) -> tuple[str, ...]:
    """Every id the snapshot lists for a provider, dead ones too: look at `ModelCard.retires`."""
    name = canonical(provider)
    priced = (entry["id"] for entry in snapshot()["prices"].get(name, ()))
    return tuple(dict.fromkeys([*snapshot()["cards"].get(name, ()), *priced]))


def find(provider: str, name: str) -> str | None:
    """The id under which a provider has this model: the very id, else one of the same group."""
    here = canonical(provider)
    return name if name in _ids(here) else _by_group(here).get(plain(name))


@cache
def _ids(provider: str) -> frozenset[str]:
    return frozenset(models(provider))


@cache
def _by_group(provider: str) -> Mapping[str, str]:
    ids = models(provider)
    return {group(provider, model): model for model in sorted(ids, key=len, reverse=True)}


@lru_cache(maxsize=8192)
def group(provider: str, model: str) -> str:
    """The model's name across providers: no vendor prefix, no date, no routing suffix, `claude-x-5.5` as `-5-5`."""
    return plain(vendor(canonical(provider), model)[1])


def plain(model: str) -> str:
    """A bare id without its date and `:latest` or `:free`."""
    name = re.sub(r":(latest|free|fastest|cheapest|preferred|beta|nitro|floor|online)$", "", model.lower())
    return _DATE.sub("", name.replace(".", "-") if name.startswith("claude") else name)


def vendor(provider: str, model: str) -> tuple[str, str]:
    """Who made a model and its id there: `openrouter`, `openai/gpt-6-luna` is `openai`, `gpt-6-luna`."""
    maker, slash, rest = model.rpartition("/")
    if not slash:
        return ("openai" if provider == "azure" else provider), model
    maker = maker.rpartition("/")[2].lower()
    return VENDORS.get(maker, maker), rest


@lru_cache(maxsize=8192)
def _bundled(provider: str, model: str) -> ModelCard:
    maker, bare = vendor(provider, model)
    name = plain(bare)
    family, rule = _family(name), _rule(name)
    facts = _facts(provider, model, maker, bare)
    window = max(_window(provider, model), facts.get("in", 0)) or family.window
    caps = facts.get("caps", family.caps)
    old = alias(name) or alias(bare)
    flags = _flags(provider, rule)
    return ModelCard(
        id=model,
        family=family.name,
        context_window=window,
        max_input=facts.get("in") if facts.get("in", 0) < window else None,
        max_output=facts.get("out", min(family.out, window)),
        capabilities=_capabilities(caps, rule),
        efforts=rule.efforts,
        quality=_quality(rule.quality),
        retires=facts.get("ends") or (old.shutdown if old else None),
        replaced_by=old.now if old else None,
        open_weights=family.open,
        parameters_b=_parameters(name) if family.open else None,
        flags=flags | {"responses_only"} if "p" in caps else flags,
        known=bool(facts) or _window(provider, model) > 0,
        source=snapshot()["about"]["cards"] if facts else "name",
    )


def _base(provider: str, base: str) -> tuple[str, str]:
    """Where an inherited model stands: `provider/model`, else here, else at whoever made it."""
    head, slash, rest = base.partition("/")
    if slash and row(head):
        return canonical(head), rest
    holders = [provider, *(name for name, known in rows().items() if not known.vendors)]
    return next(((name, base) for name in holders if base in snapshot()["cards"].get(name, ())), (provider, base))


def _facts(provider: str, model: str, maker: str, bare: str) -> Mapping[str, Any]:
    cards = snapshot()["cards"]
    tried = ((provider, model), (provider, bare), (maker, bare), (maker, plain(bare)))
    return next((cards[who][name] for who, name in tried if name in cards.get(who, ())), _NOTHING)


def _window(provider: str, model: str) -> int:
    entry = entry_of(provider, model)
    return entry.get("window", 0) if entry else 0


def _live(card: ModelCard, listed: Listed) -> ModelCard:
    return replace(
        card,
        context_window=listed.context_window or card.context_window,
        max_input=None if listed.context_window else card.max_input,
        max_output=listed.max_output or card.max_output,
        capabilities=card.capabilities if listed.capabilities is None else listed.capabilities,
        retires=listed.retires or card.retires,
        known=True,
        source="live list",
    )


def _configured(card: ModelCard, said: Override) -> ModelCard:
    changes: dict[str, Any] = {}
    for name in ("context_window", "max_output", "capabilities", "family"):
        if (value := getattr(said, name)) is not None:
            changes[name] = value
    if said.context_window is not None:
        changes |= {"max_input": None, "known": True}
    if said.quality is not None:
        all_kinds = set(said.quality) == {"default"}  # one number speaks for every kind
        changes["quality"] = said.quality if all_kinds else {**card.quality, **said.quality}
    return replace(card, **changes) if changes else card


def _capabilities(caps: str, rule: Rule) -> frozenset[Capability]:
    if "e" in caps:
        return frozenset({"embeddings"})
    found: set[Capability] = {"streaming"}
    found.update(_LETTERS[letter] for letter in caps + rule.caps if letter in _LETTERS)
    if rule.efforts:
        found.add("reasoning")
    if rule.sampling and "x" not in caps:
        found.add("sampling")
    return frozenset(found)


def _flags(provider: str, rule: Rule) -> frozenset[str]:
    """The row's flags and the rule's; `-flag` in a rule takes one of the row's away."""
    known = row(provider)
    without = {flag[1:] for flag in rule.flags if flag.startswith("-")}
    flags = rule.flags | (known.flags if known else frozenset[str]())
    return frozenset(flag for flag in flags if not flag.startswith("-") and flag not in without)


def _quality(tier: str) -> Mapping[str, float]:
    return table("families.toml")["quality"][tier]


def _family(name: str) -> Family:
    return next((family for family in _families() if family.match.search(name)), _NOBODY)


def _rule(name: str) -> Rule:
    found = next((rule for rule in _rules() if rule.match.search(name)), None)
    return found or Rule(re.compile(""), _size(name))


def _size(name: str) -> str:
    billions = max((float(size) for size in _BILLIONS.findall(name)), default=None)
    if billions is None:
        return "unknown"
    return next(size["quality"] for size in table("families.toml")["sizes"] if billions > size["above"])


def _parameters(name: str) -> tuple[float, float] | None:
    """Active billions as the id says: `30b-a3b` is 3, a plain `70b` 70."""
    found = _ACTIVE.search(name) or _BILLIONS.search(name)
    return (float(found.group(1)), float(found.group(1))) if found else None


@cache
def _rules() -> tuple[Rule, ...]:
    return tuple(
        Rule(
            re.compile(entry["match"]),
            entry["quality"],
            tuple(entry.get("efforts", ())),
            entry.get("sampling", True),
            frozenset(entry.get("flags", ())),
            entry.get("caps", ""),
        )
        for entry in table("families.toml")["models"]
    )


@cache
def _families() -> tuple[Family, ...]:
    return tuple(_family_of(entry) for entry in table("families.toml")["families"])


def _family_of(entry: Mapping[str, Any]) -> Family:
    fields: dict[str, Any] = {**entry, "match": re.compile(entry["match"])}
    return Family(**fields)


_NOBODY = Family("", re.compile(""))
_NOTHING: Mapping[str, Any] = {}
