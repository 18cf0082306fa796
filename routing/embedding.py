"""Texts to vectors by the same road as answers: chosen, protected, paid, receipted. A call whose answer is vectors.

Deployments that can embed are dressed as ones that answer; `manager.py` does the rest and never knows. Only the model
that was named serves, at whichever provider has it: vectors of two models cannot be compared.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol, cast

from providers.catalog import group
from providers.errors import Malformed
from providers.types import Answer, Delta, Embedder, Message, Provider, Request, Stream, Text, Usage

from .errors import NoModel
from .ports import Directory
from .types import Ask, Deployment, Receipt, Resolution, Result

BATCH = 96  # texts a call: Cohere's limit, the lowest (Gemini 100, OpenAI 2,048)


@dataclass(frozen=True, slots=True)
class Embedded(Answer):
    """An answer whose content is one vector per text, in order."""

    vectors: tuple[tuple[float, ...], ...] = ()


class Generates(Protocol):
    """The part of a `ProviderManager` this needs."""

    async def generate(self, ask: Ask) -> Result: ...


class Embeddings:
    """`manager` makes a manager over a directory; `default` is the model of who names none."""

    def __init__(
        self, directory: Directory, manager: Callable[[Directory], Generates], default: str | None = None
    ) -> None:
        self._default = default
        self._manager = manager(_Embedders(directory))

    async def embed(self, texts: Sequence[str], ask: Ask) -> tuple[Embedded, Receipt]:
        """One vector per text. Raises Refusals, as `generate`. `ask` carries the model and the envelope."""
        model = ask.model if ask.model not in ("", "auto") else self._default or ""
        if not model:
            raise NoModel("no embedding model is named", hint="name one, or set [embeddings] model")
        request = Request(tuple(Message("user", (Text(text),)) for text in texts), max_tokens=1)
        result = await self._manager.generate(replace(ask, request=request, model=model))
        return cast("Embedded", result.answer), result.receipt


@dataclass(frozen=True, slots=True)
class _Embedders:
    base: Directory

    def deployments(self) -> Sequence[Deployment]:
        return [d for d in self.base.deployments() if _able(d)]

    def resolve(self, ask: Ask) -> Resolution:
        found = self.base.resolve(ask)
        every = [d for step in found.steps for d in step if _able(d) or (found.exact and not d.card.known)]
        first = every[0] if every else None
        if first is None or not isinstance(first.opener, Embedder):
            hint = "name one whose capabilities hold `embeddings` (list_models, require)"
            raise NoModel(f"{ask.model[:100]} makes no embeddings", hint=hint)
        same = [d for d in every if _group(d) == _group(first)]
        dressed = tuple(_dressed(d, len(ask.request.messages)) for d in same)
        return replace(found, steps=(dressed,), auto=False)


def _able(deployment: Deployment) -> bool:
    return "embeddings" in deployment.card.capabilities and isinstance(deployment.opener, Embedder)


def _group(deployment: Deployment) -> str:
    return deployment.group or group(deployment.provider, deployment.model)


def _dressed(deployment: Deployment, texts: int) -> Deployment:
    """The same deployment as one that answers: its window holds for each text, and it writes no tokens."""
    card = deployment.card
    able = card.capabilities - {"embeddings"} | {"streaming"}
    window = card.context_window * texts + 1
    dressed = replace(card, capabilities=able, context_window=window, max_input=None, max_output=1)
    return replace(deployment, card=dressed, opener=_Opener(cast("Embedder", deployment.opener)))


@dataclass(frozen=True, slots=True)
class _Opener(Provider):
    embedder: Embedder

    def open(self, request: Request, model: str) -> AbstractAsyncContextManager[Stream]:
        return self._open([message.text for message in request.messages], model)

    @asynccontextmanager
    async def _open(self, texts: Sequence[str], model: str) -> AsyncGenerator[Stream]:
        vectors: list[tuple[float, ...]] = []
        usage, returned = Usage(), ""
        for start in range(0, len(texts), BATCH):
            found = await self.embedder.embed(texts[start : start + BATCH], model)
            vectors += found.vectors
            told = found.usage
            usage = Usage(usage.input + told.input, estimated=usage.estimated or told.estimated or not told.input)
            returned = found.model_returned
        if len(vectors) != len(texts):
            raise Malformed("the provider sent another number of vectors than texts", billed="yes")
        yield _Done(_answer(tuple(vectors), usage, returned))


def _answer(vectors: tuple[tuple[float, ...], ...], usage: Usage, returned: str) -> Embedded:
    return Embedded(
        text=f"{len(vectors)} vectors of {len(vectors[0])} dimensions",
        finish_reason="stop",
        usage=usage,
        usage_seen=not usage.estimated,
        model_returned=returned,
        vectors=vectors,
    )


@dataclass(slots=True)
class _Done:
    """A stream that was complete when it was opened."""

    answer: Answer
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    async def __aiter__(self) -> AsyncIterator[Delta]:
        yield Delta("text", self.answer.text)
