"""Shared state of a fleet on Redis (6.2 and later) or Valkey, through redis-py; loaded only where `[store] shared` is set.

One script a step, on the server's clock (`scripts.py`). A server that does not answer within `patience_s` counts as
lost: everything raises SharedLost at once for `again_s`, then one call finds out. No key, prompt or URL is stored.
"""

import json
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import anyio
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as Client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from ..cooldowns import Notice, Reason
from ..pace import Pace
from . import scripts
from .memory import PRESENT_S, tally
from .shared import Gathering, Seat, SharedLost, Terms, Wait

FRESH_S = 60.0  # after a loss, a line unknown to the store starts with no burst for as long as its window


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """`prefix` starts every key; `connections` is the most this process opens. Times in seconds."""

    prefix: str = "plenum"
    patience_s: float = 0.25
    again_s: float = 0.5
    connections: int = 32


@asynccontextmanager
async def open_redis(
    url: str, settings: RedisSettings | None = None, *, clock: Callable[[], float] = time.monotonic
) -> AsyncGenerator["RedisShared"]:
    """The fleet's shared state at `url`. Opening never fails: a server that is down is one that is lost."""
    settings = settings or RedisSettings()
    pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType] - redis-py leaves it untyped
        url,
        max_connections=settings.connections,
        timeout=settings.patience_s,
        socket_timeout=settings.patience_s,
        socket_connect_timeout=settings.patience_s,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    client = Client(connection_pool=pool)
    try:
        yield RedisShared(client, settings, clock)
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(1.0):
            await client.aclose()
            await pool.disconnect()


class _Link:
    """The way to the server: every script goes through here, so that a loss is noticed once."""

    def __init__(self, client: Any, settings: RedisSettings, clock: Callable[[], float]) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._scripts: dict[str, Any] = {}
        self._lost = False
        self._again_at = 0.0
        self._fresh_until = 0.0

    @property
    def fresh(self) -> bool:
        """The server was lost a short while ago: it may have come back empty."""
        return self._clock() < self._fresh_until

    async def run(self, script: str, keys: Sequence[str], args: Sequence[str | float | bytes]) -> Any:
        """What the script returns. Raises SharedLost."""
        if (known := self._scripts.get(script)) is None:
            known = self._scripts[script] = self._client.register_script(script)
        return await self._reached(lambda: known(keys=list(keys), args=list(args)))

    async def command(self, *words: str | float | bytes) -> Any:
        """What one command returns. Raises SharedLost."""
        return await self._reached(lambda: self._client.execute_command(*words))

    async def _reached(self, ask: Callable[[], Any]) -> Any:
        if self._lost:
            if self._clock() < self._again_at:
                raise SharedLost("the shared store is lost")
            self._again_at = self._clock() + self._settings.again_s  # one asks, the others go on without
        try:
            with anyio.fail_after(self._settings.patience_s):
                found = await ask()
        except (RedisError, OSError, TimeoutError):  # its text may hold the URL, which may hold a password
            self._lost, self._again_at = True, self._clock() + self._settings.again_s
            raise SharedLost("the shared store does not answer") from None
        if self._lost:
            self._lost, self._fresh_until = False, self._clock() + FRESH_S
        return found


class RedisShared:
    """Rates, Board, Leases, Shelf and Flights over one server."""

    def __init__(self, client: Any, settings: RedisSettings, clock: Callable[[], float]) -> None:
        self._link = _Link(client, settings, clock)
        self._prefix = settings.prefix

    async def reserve(self, lease: str, tokens: int, lines: Sequence[Terms], lease_s: float) -> Wait | None:
        """See `Rates`."""
        keys = [key for terms in lines for key in self._line_keys(terms)]
        fresh = "1" if self._link.fresh else "0"
        args = [lease, tokens, _ms(lease_s), fresh, *(word for terms in lines for word in _words(terms))]
        granted, wait_ms, why = await self._link.run(scripts.RESERVE, keys, args)
        return None if granted else Wait(wait_ms / 1000, why.decode())

    async def settle(self, lease: str, tokens: int, lines: Sequence[Terms]) -> bool:
        """See `Rates`."""
        keys = [key for terms in lines for key in self._line_keys(terms)[1::2]]
        args = [lease, tokens, *(_each_ms(terms.tokens) for terms in lines)]
        return bool(await self._link.run(scripts.SETTLE, keys, args))

    async def exchange(self, replica: str, news: Sequence[Notice], hints: Mapping[str, str]) -> Gathering:
        """See `Board`."""
        words: list[str | float] = [replica, _ms(PRESENT_S), json.dumps(dict(hints))]
        for notice in news:
            words += [notice.name, _ms(notice.left_s), json.dumps([notice.reason, notice.trial])]
        keys = [f"{self._prefix}:{{board}}:{part}" for part in ("holds", "replicas", "hints")]
        replicas, holds, found = await self._link.run(scripts.EXCHANGE, keys, words)
        notices = [_notice(name, left_ms, text) for name, left_ms, text in holds]
        return Gathering(tuple(notices), replicas, tally(json.loads(text) for text in found))

    async def take(self, name: str, limit: int, lease_s: float) -> str | float:
        """See `ports.Leases`; without the store this process alone decides."""
        lease = secrets.token_hex(8)
        try:
            wait_ms = await self._link.run(scripts.TAKE, [self._key("probes", name)], [lease, limit, _ms(lease_s)])
        except SharedLost:
            return ""
        return wait_ms / 1000 if wait_ms else lease

    async def give(self, name: str, lease: str) -> None:
        """See `ports.Leases`; one that cannot be given back ends by itself."""
        with anyio.CancelScope(shield=True):
            try:
                await self._link.command("ZREM", self._key("probes", name), lease)
            except SharedLost:
                return

    async def get(self, key: str) -> bytes | None:
        """See `Shelf`."""
        return cast("bytes | None", await self._link.command("GET", self._key("shelf", key)))

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """See `Shelf`."""
        await self._link.command("SET", self._key("shelf", key), value, "PX", _ms(ttl_s))

    async def join(self, key: str, token: str, lease_s: float) -> Seat:
        """See `Flights`."""
        leads, *value = await self._link.run(scripts.JOIN, self._flight_keys(key), [token, _ms(lease_s)])
        return Seat(leads=bool(leads), value=value[0] if value else None)

    async def land(self, key: str, token: str, value: bytes | None, keep_s: float) -> bool:
        """See `Flights`."""
        kept: list[str | float | bytes] = [_ms(keep_s), value] if value is not None else [0, b""]
        return bool(await self._link.run(scripts.LAND, self._flight_keys(key), [token, *kept]))

    def _key(self, kind: str, name: str) -> str:
        return f"{self._prefix}:{kind}:{{{name}}}"

    def _flight_keys(self, key: str) -> tuple[str, str]:
        return f"{self._key('flight', key)}:landed", f"{self._key('flight', key)}:lead"

    def _line_keys(self, terms: Terms) -> tuple[str, str, str, str]:
        line = f"{self._key('line', terms.group)}:{terms.name}"
        return f"{line}:requests", f"{line}:tokens", f"{line}:day:{terms.day}", f"{line}:places"


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def _each_ms(pace: Pace | None) -> float:
    return 1000 / pace.per_s if pace else 0


def _words(terms: Terms) -> tuple[float, ...]:
    return (
        terms.requests.burst if terms.requests else 0,
        _each_ms(terms.requests),
        terms.tokens.burst if terms.tokens else 0,
        _each_ms(terms.tokens),
        -1 if terms.rpd is None else terms.rpd,
        _ms(terms.day_s),
        -1 if terms.concurrency is None else terms.concurrency,
        terms.debt_requests,
        terms.debt_tokens,
    )


def _notice(name: bytes, left_ms: int, text: bytes) -> Notice:
    reason, trial = json.loads(text)
    return Notice(name.decode(), cast("Reason", reason), left_ms / 1000, trial=bool(trial))
