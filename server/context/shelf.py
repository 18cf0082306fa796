"""What was fetched of one upstream, and how fresh it is. A hit costs no round trip; a miss is fetched beside the request.

Whoever waits does so to its own deadline; the fetch goes on and serves the next one. What failed is told and, where an
older copy is there, the copy is used.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import mcp.types as wire
from anyio.abc import TaskGroup
from mcp import Client, MCPError
from mcp.client.session import IncomingMessage
from mcp.shared.subscriptions import ResourceUpdated
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from routing.events import ContextFetched, Observer, unobserved

from . import catalogue, pins
from .catalogue import Asked, Catalogue, Piece
from .connection import Connection, Unavailable, words
from .documents import Document, document
from .upstreams import Upstream

KEPT = 256  # pieces of one upstream
CHARS = 8 << 20  # of all of them together
RETRY_S = 15.0  # until what failed is asked for again, unless the connection changed meanwhile
LISTENED = 100  # resources whose changes are listened for
LIST = "list"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Slot:
    """A value (None where there never was one), when it came, and why there is no newer one."""

    value: Any
    at: float
    error: str = ""
    tried: float = 0.0
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Gathered:
    """What there is for a prompt, and what should be known about it."""

    documents: tuple[Document, ...] = ()
    warnings: tuple[str, ...] = ()


class Shelf:
    """Of one upstream."""

    def __init__(
        self,
        upstream: Upstream,
        approved: pins.Pins,
        tasks: TaskGroup,
        *,
        observer: Observer = unobserved,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.upstream = upstream
        self.connection: Connection | None = None
        self._approved, self._tasks, self._observer, self._clock = approved, tasks, observer, clock
        self._slots: OrderedDict[Hashable, Slot] = OrderedDict()
        self._pending: dict[Hashable, anyio.Event] = {}
        self._listening = anyio.CancelScope()

    async def gather(self, asked: Asked, patience: float = float("inf")) -> Gathered:
        """Everything for this prompt that is here, or comes before the upstream's deadline or `patience` (seconds)."""
        limit = min(self.upstream.table.timeout_s, patience)
        with anyio.move_on_after(limit):
            await self._have([(LIST, self._listed)])
            await self._have([(piece, partial(self._read, piece)) for piece in self._wanted(asked)])
        return self.here(asked, limit)

    def here(self, asked: Asked, waited: float = 0.0) -> Gathered:
        """What is here now, fresh or not; asks nobody."""
        found = self._catalogue()
        if found is None:
            return Gathered((), (self._lack(LIST, waited),))
        if found.changed:
            names = ", ".join(found.changed)
            why = f"its definition of {names} has changed: approve it with `plenum context enable {self.upstream.name}`"
            return Gathered((), (why,))
        documents, warnings = list[Document](), list(found.warnings)
        for piece in self._wanted(asked):
            slot = self._slots.get(piece)
            if slot is None or slot.value is None:
                warnings.append(f"{piece.label}: {self._lack(piece, waited)}")
                continue
            documents.append(slot.value)
            if slot.error:
                warnings.append(f"{piece.label}: {slot.error}; a copy {self._clock() - slot.at:.0f} s old was used")
        return Gathered(tuple(documents), tuple(dict.fromkeys(warnings)))

    async def heard(self, message: IncomingMessage) -> None:
        """What the upstream says unasked: something changed, so it is fetched anew when next wanted."""
        if isinstance(message, wire.ResourceUpdatedNotification):
            self._age(Piece("resource", message.params.uri))
        elif isinstance(
            message,
            wire.ResourceListChangedNotification
            | wire.ToolListChangedNotification
            | wire.PromptListChangedNotification,
        ):
            self._age(LIST)

    @property
    def size(self) -> int:
        """Pieces kept."""
        return sum(isinstance(slot.value, Document) for slot in self._slots.values())

    @property
    def changed(self) -> Sequence[str]:
        """Definitions that await approval."""
        found = self._catalogue()
        return found.changed if found is not None else ()

    def _catalogue(self) -> Catalogue | None:
        slot = self._slots.get(LIST)
        return slot.value if slot is not None else None

    def _wanted(self, asked: Asked) -> Sequence[Piece]:
        found = self._catalogue()
        if found is None or found.changed:
            return ()
        return catalogue.pieces(found, self.upstream.table, asked)

    def _lack(self, key: Hashable, waited: float) -> str:
        slot = self._slots.get(key)
        if slot is not None and slot.error:
            return slot.error
        return f"it did not answer within {waited:g} s" if waited else "nothing of it is here yet"

    def _age(self, key: Hashable) -> None:
        if (slot := self._slots.get(key)) is not None:
            self._slots[key] = replace(slot, at=float("-inf"))

    def _fresh(self, key: Hashable) -> bool:
        slot, now = self._slots.get(key), self._clock()
        if slot is None:
            return False
        if slot.error:
            same = self.connection is not None and slot.epoch == self.connection.epoch
            return same and now - slot.tried < RETRY_S
        return now - slot.at < self.upstream.table.ttl_s

    async def _have(self, wanted: Sequence[tuple[Hashable, Callable[[Client], Awaitable[Any]]]]) -> None:
        """Start what is missing, all at once, and wait until it is here or has failed."""
        for key, work in wanted:
            if key not in self._pending and not self._fresh(key):
                self._pending[key] = anyio.Event()
                self._tasks.start_soon(self._fill, key, work)
        for key, _ in wanted:
            if (coming := self._pending.get(key)) is not None:
                await coming.wait()

    async def _fill(self, key: Hashable, work: Callable[[Client], Awaitable[Any]]) -> None:
        began, error, value = self._clock(), "", None
        try:
            assert self.connection is not None
            value = await self.connection.use(work)
        except Unavailable as fault:
            error = str(fault)
        finally:
            self._pending.pop(key).set()
        self._keep(key, value, error)
        tokens = value.tokens if isinstance(value, Document) else 0
        self._observer(ContextFetched(self.upstream.name, not error, self._clock() - began, tokens, error))

    def _keep(self, key: Hashable, value: Any, error: str) -> None:
        now, old = self._clock(), self._slots.get(key)
        epoch = self.connection.epoch if self.connection is not None else 0
        if error and old is not None:
            self._slots[key] = replace(old, error=error, tried=now, epoch=epoch)
        else:
            self._slots[key] = Slot(value, now, error, now, epoch)
        self._slots.move_to_end(key)
        while len(self._slots) > KEPT or self._chars() > CHARS:
            oldest = next(other for other in self._slots if other != LIST)
            del self._slots[oldest]

    def _chars(self) -> int:
        return sum(len(slot.value.text) for slot in self._slots.values() if isinstance(slot.value, Document))

    async def _listed(self, client: Client) -> Catalogue:
        found = await catalogue.catalogue(client, self.upstream.table)
        digests = {name: pins.digest(definition) for name, definition in found.definitions.items()}
        name = f"{self.upstream.name}#{self.upstream.identity}"
        if client.protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS:
            self._listening.cancel()  # to what was listed before
            self._listening = anyio.CancelScope()
            self._tasks.start_soon(self._listen, client, [entry.uri for entry in found.entries], self._listening)
        return replace(found, changed=self._approved.changed(name, digests))

    async def _listen(self, client: Client, uris: Sequence[str], scope: anyio.CancelScope) -> None:
        """Hear of changes as 2026's servers tell them. Where that is not to be had, the time to live decides alone."""
        listening = client.listen(
            tools_list_changed=True,
            prompts_list_changed=True,
            resources_list_changed=True,
            resource_subscriptions=uris[:LISTENED],
        )
        try:
            with scope:
                async with listening as events:
                    async for event in events:
                        self._age(Piece("resource", event.uri) if isinstance(event, ResourceUpdated) else LIST)
        except Exception as fault:  # noqa: BLE001 - an upstream may break a subscription in every way
            _log.debug("%s tells no changes: %s", self.upstream.name, words(fault))

    async def _read(self, piece: Piece, client: Client) -> Document:
        raw = await catalogue.text(client, piece)
        if piece.kind == "resource" and _subscribes(client):
            await _subscribe(client, piece.name)
        make = partial(document, self.upstream.name, piece.label, raw, asked=piece.asked)
        return await anyio.to_thread.run_sync(make)


def _subscribes(client: Client) -> bool:
    """Whether changes are told to who subscribes resource by resource: the handshake eras' way."""
    resources = client.server_capabilities.resources
    told = resources is not None and resources.subscribe is True
    return told and client.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS


async def _subscribe(client: Client, uri: str) -> None:
    try:
        request = wire.SubscribeRequest(params=wire.SubscribeRequestParams(uri=uri))
        await client.session.send_request(request, wire.EmptyResult)
    except MCPError:
        return  # then the time to live decides alone
