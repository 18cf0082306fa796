"""What to say when a name stands for nothing: why, the nearest names, and the next thing to do. Pure."""

from collections.abc import Collection, Sequence
from datetime import date

from providers.catalog import Alias, alias, card, find, rows

from .errors import Next, NoKeys, NoModel
from .types import Deployment

_THREE_WAYS = (
    "Store a provider's key with `plenum keys set openai`, or set its variable, such as OPENAI_API_KEY; or start a local "
    "engine, such as Ollama (`ollama pull qwen2.5-coder`); or try Plenum without either: `plenum demo`."
)


def nobody_configured() -> NoModel:
    """There is nobody to ask at all."""
    return NoKeys(
        "No provider is configured, so there is no model to ask.", hint=_THREE_WAYS, next_call=Next("list_models")
    )


def extinct(old: Alias, today: date) -> NoModel:
    """The model is gone and nothing takes its place."""
    return NoModel(
        f"{old.fate(today)}, and nothing takes its place.",
        hint='Let Plenum choose: model = "auto".',
        next_call=_ask("auto"),
    )


def missing(provider: str, model: str, today: date, existing: Sequence[Deployment]) -> NoModel:
    """`provider/model` where the provider is known: retired, misspelt or not there."""
    names = [d.name for d in existing if d.provider == provider]
    if not model:
        return NoModel(
            f"{provider} has no chat model that may serve without being named.",
            next_call=Next("list_models", {"provider": provider}),
        )
    old = alias(model)
    if old and old.obsolete(today):
        if not old.now:
            return extinct(old, today)
        now = f"{provider}/{old.now}"
        return NoModel(f"{old.fate(today)}.", hint=f"Use {now}, or the bare name {old.now}.", next_call=_ask(now))
    ended = card(provider, model).retires
    if ended and ended <= today.isoformat():
        return _suggest(f"{provider}/{model} is retired since {ended}.", f"{provider}/{model}", names)
    return _suggest(f"{provider} has no model {model!r}.", f"{provider}/{model}", names)


def unknown(name: str, target: str, existing: Sequence[Deployment], groups: Collection[str]) -> NoModel:
    """A bare name nobody configured has. Says whose key would bring it, where somebody in the catalogue has it."""
    for holder in rows().values():
        found = None if holder.local else find(holder.name, target)
        if found and holder.keys:
            said = f"No configured provider has {target}" + (f" (today's {name})." if target != name else ".")
            ways = f"{holder.name} has it: `plenum keys set {holder.name}`, or set {holder.keys[0]}."
            return NoKeys(said, provider=holder.name, hint=ways, next_call=_ask("auto"))
    old = alias(name)
    if old and old.hint:
        return NoModel(
            f"No configured provider has {name}.", hint=f"{old.hint[0].upper()}{old.hint[1:]}.", next_call=_ask("auto")
        )
    return _suggest(f"No provider, model or group is named {name!r}.", name, [*(d.name for d in existing), *groups])


def _suggest(message: str, name: str, names: Sequence[str]) -> NoModel:
    near = nearest(name, names)
    provider, slash, model = name.partition("/")
    declare = f' A new one is declared under [[providers.{provider}.models]], id = "{model}".' if slash else ""
    if not near:
        return NoModel(message, hint=f"`list_models` shows what there is.{declare}", next_call=Next("list_models"))
    return NoModel(message, hint=f"Did you mean {' or '.join(near)}?{declare}", next_call=_ask(near[0]))


def nearest(name: str, names: Sequence[str], limit: int = 3) -> list[str]:
    """The names most like this one, likest first; the part after the provider counts as much as the whole."""
    from rapidfuzz import fuzz

    bare = {candidate: candidate.rpartition("/")[2] for candidate in dict.fromkeys(names)}
    scores = {
        candidate: max(fuzz.ratio(name, candidate), fuzz.ratio(name.rpartition("/")[2], short))
        for candidate, short in bare.items()
    }
    likest = sorted((c for c, score in scores.items() if score >= 60), key=lambda c: (-scores[c], c))
    return likest[:limit]


def _ask(model: str) -> Next:
    return Next("generate", {"model": model})
