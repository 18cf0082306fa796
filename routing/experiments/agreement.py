"""How far two answers to one question agree. Pure: equal answers where the question has one, else alike wording."""

from providers.types import Answer, Request

from ..fusion.answers import extract, load
from ..fusion.infer import Wanted, spec

LOOKED_AT = 4_000  # characters of prose that are compared


def agreement(request: Request, one: Answer, other: Answer) -> tuple[float, str]:
    """0..1, and how it was seen: an answer kind (then 0 or 1), or `text` for the likeness of wording."""
    if one.tool_calls or other.tool_calls:
        return float(_calls(one) == _calls(other)), "tools"
    prompt = next((m.text for m in reversed(request.messages) if m.role == "user"), "")
    wanted = spec(prompt, Wanted(schema=request.schema))
    if load(wanted.kind).closed:
        found, said = extract(one.text, wanted), extract(other.text, wanted)
        if found is not None and said is not None:
            return float(found.key == said.key), wanted.kind
    return _alike(one.text, other.text), "text"


def _calls(answer: Answer) -> list[tuple[str, str]]:
    return sorted((call.name, "".join(call.arguments.split())) for call in answer.tool_calls)


def _alike(one: str, other: str) -> float:
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.normalized_similarity(_plain(one), _plain(other))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())[:LOOKED_AT]
