"""Virtual keys: made, told once, known by their hash from then on; and what each lets its caller do."""

import hashlib
import math
import re
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from routing.costs.budgets import Cap
from routing.errors import Limited
from routing.store.tokens import Token, Tokens
from routing.types import Ask

PREFIX = "plenum_"
SCOPES = ("read", "generate", "admin")
FOREIGN, SCOPED = "oauth:", "plenum:"  # of callers' names, and of our scopes at an issuer that has others too
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
MINUTE_S = 60.0
REREAD_S = 1.0  # between looks at all tokens; one that is shown is looked up, and its limits hold from then on
LOOP = 20  # the same question a minute: beyond that somebody's agent may be in a loop (guide §8.1)
REMEMBERED = 4096  # callers, and questions a minute


def fresh() -> str:
    """A new token: 256 random bits, with a beginning that scanners and our own redaction know."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """What is kept of it. A plain hash: there is nothing in 256 random bits that a slow one would protect."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def caps(tokens: Sequence[Token], now: float) -> Iterator[Cap]:
    """The budgets that valid tokens carry, as the cost tracker knows budgets."""
    for token in tokens:
        if token.valid(now):
            if token.daily_usd is not None:
                yield Cap(f"caller:{token.name}", "day", token.daily_usd)
            if token.monthly_usd is not None:
                yield Cap(f"caller:{token.name}", "month", token.monthly_usd)


@dataclass(slots=True)
class Borders:
    """What each caller may, on its asks' way in: its models, its rate; and a word about loops. One process's counts."""

    tokens: Tokens
    adopt: Callable[[Sequence[Token]], Awaitable[None]]  # budgets that come into force before their caller's next ask
    clock: Callable[[], float] = time.time
    _known: dict[str, Token] | None = None
    _read_at: float = 0.0
    _calls: dict[str, deque[float]] = field(default_factory=dict[str, deque[float]])
    _asked: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    _minute: int = 0

    async def __call__(self, ask: Ask) -> Ask:
        """The ask within its caller's borders. Raises Limited."""
        token = await self._token(ask.caller)
        if ask.part_of is None:
            if token is not None and token.rpm is not None:
                self._pace(token.name, token.rpm)
            ask = self._watched(ask)
        return _within(ask, token)

    async def allowed(self, ask: Ask) -> Ask:
        """The ask with its caller's models, nothing counted."""
        return _within(ask, await self._token(ask.caller))

    def shown(self, token: Token) -> None:
        """Somebody showed this valid token: what was known of its name otherwise holds no longer."""
        if self._known is not None and self._known.get(token.name) != token:
            self._read_at = -math.inf

    async def _token(self, caller: str) -> Token | None:
        now, before = self.clock(), self._known
        if before is not None and 0 <= now - self._read_at <= REREAD_S:
            return before.get(caller)
        valid = [token for token in self.tokens.all() if token.valid(now)]
        self._known, self._read_at = {token.name: token for token in valid}, now
        if before != self._known:
            await self.adopt(valid)
        return self._known.get(caller)

    def _pace(self, caller: str, rpm: int) -> None:
        now, calls = self.clock(), self._calls.setdefault(caller, deque())
        while calls and calls[0] <= now - MINUTE_S:
            calls.popleft()
        if len(calls) >= rpm:
            wait = max(calls[0] + MINUTE_S - now, 0.0)
            raise Limited(
                f"This caller may ask {rpm} times a minute, and has.", hint="Wait, or ask for less.", after=wait
            )
        calls.append(now)

    def _watched(self, ask: Ask) -> Ask:
        minute = int(self.clock() // MINUTE_S)
        if minute != self._minute or len(self._asked) > REMEMBERED:
            self._asked, self._minute = {}, minute
        name = ask.caller, ask.key
        times = self._asked[name] = self._asked.get(name, 0) + 1 if ask.key else 0
        if times <= LOOP:
            return ask
        return replace(ask, warnings=(*ask.warnings, f"this was asked {times} times within a minute: a loop?"))


def _within(ask: Ask, token: Token | None) -> Ask:
    return ask if token is None or not token.models else replace(ask, allowed_models=token.models)
