"""Texts to vectors by the model of `[embeddings]`, where it is configured and its provider can embed."""

from collections.abc import Awaitable, Callable, Sequence

from providers.errors import ProviderError
from providers.types import Embedder, Request
from routing.errors import Refusal
from routing.ports import Directory
from routing.types import Ask

_NOTHING = Request(())
Vectors = Callable[[tuple[str, ...]], Awaitable[Sequence[Sequence[float]] | None]]


def vectors(model: str | None, directory: Directory) -> Vectors:
    """One vector per text, None where nobody can make any."""

    async def _vectors(texts: tuple[str, ...]) -> Sequence[Sequence[float]] | None:
        if model is None:
            return None
        try:
            deployment = directory.resolve(Ask(_NOTHING, model=model)).steps[0][0]
            if not isinstance(deployment.opener, Embedder):
                return None
            return (await deployment.opener.embed(texts, deployment.model)).vectors
        except (Refusal, ProviderError, IndexError):
            return None

    return _vectors
