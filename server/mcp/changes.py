"""Tells clients what changed: `subscriptions/listen` of 2026, and `resources/subscribe` of older sessions.

What changes often is told at most four times a second: telling is putting a URI into a set.
"""

from collections.abc import Iterable
from typing import Any

import anyio
from mcp.server.mcpserver import MCPServer
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourcesListChanged, ResourceUpdated
from mcp.types import EmptyResult, SubscribeRequestParams, UnsubscribeRequestParams

from .doors import connection, lowlevel

GAP_S = 0.25


class Changes:
    """Which resources changed, and who wants to know."""

    def __init__(self) -> None:
        self.bus = InMemorySubscriptionBus()
        self._changed: set[str] = set()
        self._models = False
        self._news = anyio.Event()
        self._watchers: dict[str, dict[Any, Any]] = {}  # uri → connection → session

    def updated(self, *uris: str) -> None:
        """These resources read differently now. Never waits."""
        self._changed.update(uris)
        self._news.set()

    def listed(self) -> None:
        """The list of resources is another now."""
        self._models = True
        self._news.set()

    async def run(self) -> None:
        """Tell, until cancelled."""
        while True:
            await self._news.wait()
            await anyio.sleep(GAP_S)
            self._news = anyio.Event()
            changed, self._changed = self._changed, set()
            if self._models:
                self._models = False
                await self.bus.publish(ResourcesListChanged())
            for uri in sorted(changed):
                await self._tell(uri)

    async def _tell(self, uri: str) -> None:
        await self.bus.publish(ResourceUpdated(uri=uri))
        for session in tuple(self._watchers.get(uri, {}).values()):
            await session.send_resource_updated(uri)

    def serve(self, server: MCPServer[Any]) -> None:
        """Answer `resources/subscribe` and `resources/unsubscribe`, which MCPServer leaves out."""
        core = lowlevel(server)
        core.add_request_handler("resources/subscribe", SubscribeRequestParams, self._subscribe)
        core.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, self._unsubscribe)

    @property
    def watched(self) -> Iterable[str]:
        """The URIs that older sessions subscribed to."""
        return self._watchers.keys()

    async def _subscribe(self, ctx: Any, params: SubscribeRequestParams) -> EmptyResult:
        uri, client = str(params.uri), connection(ctx.session)
        known = self._watchers.setdefault(uri, {})
        if client not in known:
            client.exit_stack.callback(self._forget, uri, client)  # when its connection ends
        known[client] = ctx.session
        return EmptyResult()

    async def _unsubscribe(self, ctx: Any, params: UnsubscribeRequestParams) -> EmptyResult:
        self._forget(str(params.uri), connection(ctx.session))
        return EmptyResult()

    def _forget(self, uri: str, client: Any) -> None:
        watchers = self._watchers.get(uri, {})
        watchers.pop(client, None)
        if not watchers:
            self._watchers.pop(uri, None)
