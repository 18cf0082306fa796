"""Virtual keys: who may come in over HTTP, and what each may. Only a hash of the token is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .pending import Pending


@dataclass(frozen=True, slots=True)
class Token:
    """One caller's key. Empty `scopes` and `models` mean all; limits that are None do not limit.

    Times are seconds since the epoch, money USD, `rpm` requests a minute; `models` are glob patterns on `provider/model`.
    """

    name: str
    hash: bytes
    scopes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    daily_usd: float | None = None
    monthly_usd: float | None = None
    rpm: int | None = None
    created: float = 0.0
    expires: float | None = None
    revoked: float | None = None

    def valid(self, now: float) -> bool:
        """Whether it opens anything."""
        return self.revoked is None and (self.expires is None or now < self.expires)


class Tokens(Protocol):
    """Where they are kept; reads are point reads, cheap enough for every request."""

    def put(self, token: Token) -> Pending[bool]:
        """Keep a new one; False where a valid one has its name."""
        ...

    def revoke(self, name: str, at: float) -> Pending[bool]:
        """End one; whether there was a valid one."""
        ...

    def by_hash(self, hash: bytes) -> Token | None:  # noqa: A002
        """The one with this hash, valid or not."""
        ...

    def all(self) -> Sequence[Token]:
        """Every one, by name."""
        ...
