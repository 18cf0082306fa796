"""Addresses that a configuration names and that must not be reached in clear."""

from urllib.parse import urlsplit


def issuer_url(url: str) -> str:
    """The URL without its last slash. Raises ValueError unless it is https, or http on loopback."""
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
    if not (parts.scheme == "https" or local) or parts.username is not None or not parts.hostname:
        raise ValueError("an issuer is reached by https")
    return url.rstrip("/")
