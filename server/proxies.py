"""HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, by the standard library's own reading of them."""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment

from .config.environment import clean


def proxies(environment: Mapping[str, str]) -> Callable[[str], str | None]:
    """The proxy for a URL, None where it is to be reached directly. Lower-case names win, as curl has it."""
    lower = {k.lower(): v for k, v in sorted(environment.items()) if k.lower().endswith("_proxy") and clean(v)}
    exempt = {"no": lower.get("no_proxy", "")}

    def _for(url: str) -> str | None:
        parts = urlsplit(url)
        if exempt["no"] and proxy_bypass_environment(parts.netloc, exempt):
            return None
        return lower.get(f"{parts.scheme}_proxy") or lower.get("all_proxy")

    return _for
