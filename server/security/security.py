"""Security of one configuration, as the house composes it: what every ask passes, who may come in, what is noted."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from routing.prepared import Step
from routing.store.tokens import Token, Tokens

from ..config import Config
from .images import Images
from .redaction import current
from .sanitiser import Sanitiser
from .tokens import PREFIX, Borders, digest
from .watch import Watch

TEXTS = 2048  # in one request for embeddings, as OpenAI allows


@dataclass(frozen=True, slots=True)
class Known:
    """A caller whose token is good, and what it may (no scopes: all)."""

    name: str
    scopes: tuple[str, ...] = ()


class Bearers(Protocol):
    """Tokens somebody else issues (OAuth)."""

    async def known(self, token: str) -> Known | None:
        """Who this is, None where the token is not good."""
        ...


@dataclass(frozen=True, slots=True)
class Security:
    """`steps` in their order stand before replay: the first that refuses ends an ask before anything is paid or kept."""

    tokens: Tokens
    watch: Watch
    steps: tuple[Step, ...]
    vectors: tuple[Step, ...]  # the same for texts that are only turned into vectors: there may be many
    allowed: Step  # of them, the one that also holds where nobody is asked
    issued: Bearers | None = None
    shown: Callable[[Token], None] = lambda _: None
    clock: Callable[[], float] = time.time

    async def known(self, token: str) -> Known | None:
        """Who this bearer token is of. Virtual keys are looked up at every request: a revoked one ends at once."""
        if not token.startswith(PREFIX):
            return None if self.issued is None else await self.issued.known(token)
        found = self.tokens.by_hash(digest(token))
        if found is None or not found.valid(self.clock()):
            return None
        self.shown(found)
        return Known(found.name, found.scopes)


def secured(
    config: Config, tokens: Tokens, watch: Watch, adopt: Callable[[Sequence[Token]], Awaitable[None]]
) -> Security:
    """What `[security]` and `[http]` ask for."""
    table = config.security
    redactor = current()
    policy = table.secrets if table.redact else "allow"
    sanitiser = Sanitiser(redactor, policy, table.max_message_chars, table.max_messages)
    borders = Borders(tokens, adopt)
    steps = borders, sanitiser, Images(table.image_urls)
    vectors = borders, replace(sanitiser, most=TEXTS)
    return Security(tokens, watch, steps, vectors, borders.allowed, _issuer(config), borders.shown)


def _issuer(config: Config) -> Bearers | None:
    if not config.http.issuer:
        return None
    from .oauth import Issuer

    return Issuer(config.http.issuer, config.http.audience or "")
