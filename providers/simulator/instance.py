"""A small valid instance of a JSON Schema: what a model would answer that obeys and says little. Pure.

Enough of the language for answer contracts and tool parameters; `pattern`, `not` and conditions are beyond it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

_DEEPEST = 12  # a schema that holds itself ends here
_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "simulated@example.org",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
}


def instance(schema: Mapping[str, Any], hint: str) -> Any:
    """A value that meets `schema`; `hint` is used wherever a free text or a number of its kind is asked for."""
    return _Maker(schema, hint).value(schema, 0)


class _Maker:
    def __init__(self, root: Mapping[str, Any], hint: str) -> None:
        self._root = root
        self._hint = hint

    def value(self, schema: Any, depth: int) -> Any:
        if not isinstance(schema, Mapping) or depth > _DEEPEST:
            return None
        schema = self._resolved(cast("Mapping[str, Any]", schema))
        if "const" in schema:
            return schema["const"]
        if options := schema.get("enum"):
            return self._hint if self._hint in options else options[0]
        for word in ("anyOf", "oneOf"):
            if branches := schema.get(word):
                return self.value({**schema, word: None, **self._resolved(branches[0])}, depth + 1)
        return self._of_type(schema, depth)

    def _of_type(self, schema: Mapping[str, Any], depth: int) -> Any:
        match _type(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "integer" | "number" as kind:
                return self._number(schema, whole=kind == "integer")
            case "boolean":
                return self._hint.lower() not in ("no", "false")
            case "null":
                return None
            case _:
                return self._string(schema)

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Local references followed, `allOf` laid over one another."""
        for _ in range(_DEEPEST):
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                break
            target: Any = self._root
            for step in reference.removeprefix("#").strip("/").split("/"):
                target = target.get(step.replace("~1", "/").replace("~0", "~"), {}) if step else target
            schema = target
        for part in schema.get("allOf", ()):
            schema = {**schema, **self._resolved(part), "allOf": ()}
        return schema

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties: Mapping[str, Any] = schema.get("properties", {})
        wanted: Sequence[str] = schema.get("required") or list(properties)
        return {name: self.value(properties.get(name, {}), depth + 1) for name in wanted}

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        first: Sequence[Any] = schema.get("prefixItems", ())
        least = max(schema.get("minItems", 1 if "items" in schema else 0), len(first))
        kinds = [*first, *[schema.get("items", {})] * (least - len(first))]
        return [self.value(kind, depth + 1) for kind in kinds]

    def _number(self, schema: Mapping[str, Any], *, whole: bool) -> float:
        try:
            number = float(self._hint)
        except ValueError:
            number = 0.0
        number = _within(number, schema)
        if step := schema.get("multipleOf"):
            number = -(-number // step) * step
        return int(number) if whole or number == int(number) else number

    def _string(self, schema: Mapping[str, Any]) -> str:
        if known := _FORMATS.get(schema.get("format", "")):
            return known
        return self._hint.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]


def _within(number: float, schema: Mapping[str, Any]) -> float:
    if (low := schema.get("minimum")) is not None:
        number = max(number, low)
    if (low := schema.get("exclusiveMinimum")) is not None and number <= low:
        number = low + 1
    if (high := schema.get("maximum")) is not None:
        number = min(number, high)
    if (high := schema.get("exclusiveMaximum")) is not None and number >= high:
        number = high - 1
    return number


def _type(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in cast("list[Any]", kind) if each != "null"), "null")
    if isinstance(kind, str):
        return kind.lower()  # Gemini writes OBJECT
    return "object" if "properties" in schema else "array" if "items" in schema else "string"
