"""Opens the response cache over what this house has: the user's file, and a fleet's shelf where there is one."""

from typing import TYPE_CHECKING

from routing.cache.exact import Exact
from routing.cache.flight import Formation
from routing.cache.recall import ResponseCache
from routing.store.sqlite import SqliteStore

from . import settings
from .config import Config
from .hub import Hub

if TYPE_CHECKING:
    from routing.store.redis import RedisShared  # brings redis-py, an extra


def response_cache(config: Config, store: SqliteStore, shared: "RedisShared | None", hub: Hub) -> ResponseCache:
    """The cache; it is off until a house adopts it."""
    exact = Exact(store.responses, shared, settings=settings.cache(config))
    return ResponseCache(exact, formation=Formation(shared) if shared is not None else None, observer=hub)
