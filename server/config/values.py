"""Kinds of values a configuration holds: numbers in their bounds, addresses that may carry a key, time zones."""

from typing import Annotated, Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field


def _no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("should be a number, not true or false")  # noqa: TRY004 - pydantic wants ValueError
    return value


def provider_url(url: str) -> str:
    """The URL as it is. Raises ValueError for what cannot be the base of requests that carry a key."""
    if not url.isascii() or any(c <= " " or c in '\\"<>^`{|}\x7f' for c in url):
        raise ValueError("holds characters no URL has")
    parts = urlsplit(url)
    port = parts.port  # raises ValueError for one that is none
    del port
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("should be https://HOST/… (http on loopback)")
    if parts.username is not None:
        raise ValueError("may not hold a user or password: keys go into headers")
    if parts.query or parts.fragment or ".." in unquote(parts.path).split("/"):
        raise ValueError("should be a plain path, without `..`, `?` and `#`")
    return url


def issuer_url(url: str) -> str:
    """The URL without its last slash. Raises ValueError unless it is https, or http on loopback."""
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
    if not (parts.scheme == "https" or local) or parts.username is not None or not parts.hostname:
        raise ValueError("an issuer is reached by https")
    return url.rstrip("/")


def _zone(value: str) -> str:
    try:
        return value if value == "local" else ZoneInfo(value).key
    except (KeyError, ValueError, OSError):
        raise ValueError("is no time zone: say local, UTC, or a name such as Europe/Berlin") from None


def _reached_safely(value: str) -> str:
    issuer_url(value)
    return value  # with its last slash, if it has one: tokens name it letter by letter


Number = BeforeValidator(_no_truth_value)
Share = Annotated[float, Field(ge=0, le=1), Number]
Usd = Annotated[float, Field(ge=0), Number]
Seconds = Annotated[float, Field(gt=0, le=86400), Number]
Count = Annotated[int, Field(ge=1), Number]
Zone = Annotated[str, AfterValidator(_zone)]
BaseUrl = Annotated[str, AfterValidator(lambda value: provider_url(value) if value else value)]
Issuer = Annotated[str, AfterValidator(_reached_safely)]
