"""What pydantic objects to, in plain words: the place as it was written, what should stand there, the nearest known name.

No value is told back, and no word of Python's: who wrote JSON or TOML knows lists and objects, not tuples and dictionaries.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError

Path = tuple[str | int, ...]
MOST = 3  # faults told at once
NAMES = 20  # told where none is near
UNKNOWN = "is not known"

_KINDS = {
    "missing": "is missing",
    "extra_forbidden": UNKNOWN,
    "list_type": "should be a list",
    "tuple_type": "should be a list",
    "dict_type": "should be an object",
    "model_type": "should be an object",
    "model_attributes_type": "should be an object",
    "union_tag_not_found": "needs a `type`",
}
_SUBJECT = re.compile(r"^(?:Value error, |Input (?=should)|(?:String|List|Tuple|Dictionary|Value) (?=should))")
_TAGS = re.compile(r"^Input tag .* found using '(\w+)' does not match any of the expected tags: (.*)$", re.DOTALL)


def complaints(fault: ValidationError, model: type[BaseModel], given: Any, most: int = MOST) -> list[tuple[str, str]]:
    """Each fault's place (empty: the whole) and what is wrong with it. Of a union's branches those that got furthest speak."""
    found: dict[Path, list[Mapping[str, Any]]] = {}
    for error in fault.errors(include_input=False, include_url=False, include_context=False):
        path = _written(error["loc"], given, absent=error["type"] == "missing")
        found.setdefault(path, []).append(cast("Mapping[str, Any]", error))
    deepest = [path for path in found if not any(other[: len(path)] == path != other for other in found)]
    return [(".".join(str(step)[:40] for step in path), _of(model, path, found[path])) for path in deepest[:most]]


def words(error: Mapping[str, Any]) -> str:
    """What one of pydantic's errors says, as the rest of a sentence that began with the place."""
    kind, message = str(error["type"]), str(error["msg"])
    if kind in _KINDS:
        return _KINDS[kind]
    if kind.startswith(("date_", "date_from")):
        return "should be a date, written like 2026-11-21"
    if tags := _TAGS.match(message):
        return f"needs a `{tags[1]}` that is one of {tags[2]}"
    return _SUBJECT.sub("", message).partition(" after validation, not ")[0]


def _of(model: type[BaseModel], path: Path, errors: Sequence[Mapping[str, Any]]) -> str:
    choices = [words(error).removeprefix("should be ") for error in errors if error["type"] == "literal_error"]
    if len(choices) > 1:  # one per branch
        return f"should be {' or '.join(dict.fromkeys(choices))}"
    return words(errors[0]) + (nearest(model, path) if errors[0]["type"] == "extra_forbidden" else "")


def nearest(model: type[BaseModel], path: Path) -> str:
    """In brackets: the name that was probably meant, or the names there are."""
    fields = model.model_fields
    for step in path[:-1]:
        inner = models_in(fields[str(step)].annotation) if str(step) in fields else []
        fields = inner[0].model_fields if inner else fields
    return near(str(path[-1]), list(fields))


def near(name: str, names: Sequence[str]) -> str:
    """In brackets: which of `names` was probably meant, else what there is."""
    from difflib import get_close_matches

    found = get_close_matches(name, names, 1, 0.5)
    if found:
        return f" (did you mean `{found[0]}`?)"
    more = ", …" if len(names) > NAMES else ""
    return f" (there are: {', '.join(names[:NAMES])}{more})"


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The tables that an annotation speaks of."""
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [found for part in get_args(annotation) for found in models_in(part)]


def _written(place: Sequence[str | int], given: Any, *, absent: bool) -> Path:
    """The path through what was given: pydantic's, without the branches of unions it tried on the way."""
    path: list[str | int] = []
    for index, step in enumerate(place):
        here = isinstance(step, int) if isinstance(given, list) else isinstance(given, dict) and step in given
        if here or (absent and index + 1 == len(place)):
            path.append(step)
            given = cast("Any", given)[step] if here else None
    return tuple(path)
