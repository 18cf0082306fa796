"""The configuration as it may be shown: to the user without secrets, to an MCP caller without places either."""

from typing import Any, cast

from .models import Config

HIDDEN = "(hidden)"
_PLACES = ("ca_bundle", "path", "file", "url", "shared")


def shown(config: Config) -> dict[str, Any]:
    """What is in force, defaults included, without any secret; what nothing was said of is left out."""
    document = config.model_dump(mode="json", exclude_none=True)
    for table in document["providers"].values():
        if isinstance(table, dict):
            _conceal(cast("dict[str, Any]", table))
    document["http"]["tokens"] = [HIDDEN] * len(document["http"]["tokens"])
    for key in ("url", "shared"):
        if "@" in document["store"].get(key, ""):
            document["store"][key] = HIDDEN
    return document


def _conceal(provider: dict[str, Any]) -> None:
    if "api_key" in provider:
        provider["api_key"] = HIDDEN
    provider["headers"] = dict.fromkeys(provider["headers"], HIDDEN)


def outward(config: Config) -> dict[str, Any]:
    """The same without files and addresses of stores: what a host's model may read."""
    return cast("dict[str, Any]", _without_places(shown(config)))


def _without_places(node: Any) -> Any:
    if isinstance(node, dict):
        found = cast("dict[str, Any]", node)
        return {k: HIDDEN if k in _PLACES and v else _without_places(v) for k, v in found.items()}
    if isinstance(node, list):
        return [_without_places(item) for item in cast("list[Any]", node)]
    return node
