"""Opens the response cache over what this house has: the user's file, and a fleet's shelf where there is one."""

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from providers.types import Embedder, Request
from routing.cache.exact import Exact
from routing.cache.flight import Formation
from routing.cache.recall import ResponseCache
from routing.cache.semantic import Embed, Semantic
from routing.embedding import Embeddings
from routing.errors import NoModel
from routing.ports import Directory
from routing.store import Store
from routing.types import Ask

from . import settings
from .config import Config
from .hub import Hub

if TYPE_CHECKING:
    from routing.store.redis import RedisShared  # brings redis-py, an extra

_log = logging.getLogger(__name__)


def response_cache(config: Config, store: Store, shared: "RedisShared | None", hub: Hub) -> ResponseCache:
    """The cache; it is off until a house adopts it."""
    exact = Exact(store.responses, shared, settings=settings.cache(config))
    return ResponseCache(exact, formation=Formation(shared) if shared is not None else None, observer=hub)


def semantic(config: Config, directory: Directory, store: Store, embeddings: Embeddings) -> Semantic | None:
    """The semantic cache where it is asked for and somebody can embed; that nobody can is said, once per configuration.

    Vectors of a provider are bought by the paid road: reserved, booked, within the caller's budgets.
    """
    if not (config.cache.enabled and config.cache.semantic):
        return None
    found = _configured(config.embeddings.model, directory, embeddings) if config.embeddings.model else _local()
    if found is None:
        _log.warning(
            "cache.semantic is on, but nobody can embed: set [embeddings] model, or install the extra semantic"
        )
        return None
    name, embed = found
    return Semantic(name, embed, store.responses, threshold=config.cache.threshold)


def _configured(model: str, directory: Directory, embeddings: Embeddings) -> tuple[str, Embed] | None:
    try:
        resolution = directory.resolve(Ask(Request(()), model=model))
    except NoModel:
        return None
    able = [d for step in resolution.steps for d in step if isinstance(d.opener, Embedder)]
    return (able[0].name, _bought(embeddings, model)) if able else None


def _bought(embeddings: Embeddings, model: str) -> Embed:
    async def _embed(texts: Sequence[str], caller: str) -> Sequence[Sequence[float]]:
        found, _ = await embeddings.embed(texts, Ask(Request(()), model=model, caller=caller))
        return found.vectors

    return _embed


def _local() -> tuple[str, Embed] | None:
    from providers.minilm import NAME, MiniLM, weights

    folder = weights()
    if folder is None:
        return None
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices: threads that spin cost 70 times what they save
    try:
        return NAME, _asking(MiniLM(folder), NAME)
    except ImportError:
        return None


def _asking(embedder: object, model: str) -> Embed:
    async def _embed(texts: Sequence[str], caller: str) -> Sequence[Sequence[float]]:
        del caller  # it costs nothing
        assert isinstance(embedder, Embedder), "chosen so"
        return (await embedder.embed(texts, model)).vectors

    return _embed
