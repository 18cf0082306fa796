"""HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, read as curl reads them: lower case wins, NO_PROXY by suffix."""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from .config.environment import clean


def proxies(environment: Mapping[str, str]) -> Callable[[str], str | None]:
    """The proxy for a URL, None where it is to be reached directly."""
    upper_first = sorted(environment.items())  # so that lower-case names, which sort later, overwrite upper-case ones
    found = {k.lower(): v for k, v in upper_first if k.lower().endswith("_proxy") and clean(v)}
    exempt = tuple(part.strip().lower().lstrip(".") for part in found.get("no_proxy", "").split(",") if part.strip())

    def _for(url: str) -> str | None:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if "*" in exempt or any(host == name or host.endswith("." + name) for name in exempt):
            return None
        return found.get(f"{parts.scheme}_proxy") or found.get("all_proxy")

    return _for
