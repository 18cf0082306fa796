"""Batches over HTTP: a wire's flows are carried out, results read line by line and folded by the provider's dialect."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from ..batches import BatchWire, Flow, Results, Row, Written, encoded
from ..dialects import Call, read_json
from ..dialects._json import mapping
from ..errors import BadRequest, Malformed, ProviderError, TimedOut, Truncated, Unavailable
from ..sse import NdJson
from ..types import Answer, Item, Outcome, Progress
from .reading import SHAPE, document, is_json, media, read, refuse_encoding
from .session import Reply
from .silence import Silence
from .stream import SIMULATED

if TYPE_CHECKING:
    from .provider import HttpProvider

T = TypeVar("T")

MOST = 256 << 20  # bytes of a document that holds a whole batch
UNRUN = {
    "expired": TimedOut("The batch expired before this line was run.", billed="no"),
    "cancelled": Unavailable("The batch was cancelled before this line was run.", billed="no"),
}


class HttpBatches:
    """Satisfies `Batches` for one model of one provider."""

    def __init__(self, provider: "HttpProvider", wire: BatchWire, model: str) -> None:
        self.share, self.most_items, self.most_bytes = wire.share, wire.most_items, wire.most_bytes
        self._provider = provider
        self._wire = wire
        self._card = provider.card(model)
        self._simulated = False

    def size(self, item: Item) -> int:
        """Bytes of its body."""
        return len(_text(self._written(item)).encode("utf-8", "replace"))

    async def submit(self, name: str, items: Sequence[Item]) -> str:
        """Hand in."""
        written = [self._written(item) for item in items]
        return await self._run(self._wire.submit(name, written, self._card.id))

    async def find(self, name: str, items: int, since: float) -> str | None:
        """Look through the provider's list."""
        return await self._run(self._wire.find(name, items, since))

    async def look(self, batch_id: str) -> Progress:
        """Ask how it stands."""
        return await self._run(self._wire.look(batch_id))

    async def cancel(self, batch_id: str) -> None:
        """Ask it to stop."""
        await self._run(self._wire.cancel(batch_id))

    async def outcomes(self, batch_id: str) -> AsyncIterator[Outcome]:
        """Every result, file after file."""
        found: Results = await self._run(self._wire.results(batch_id))
        for raw in found.rows:
            yield self._outcome(raw)
        for file in found.files:
            async with aclosing(self._rows(file)) as rows:
                async for raw in rows:
                    yield self._outcome(raw)

    def _written(self, item: Item) -> Written:
        return Written(item.id, self._provider.dialect.render(item.request, self._card, stream=False))

    async def _run(self, flow: Flow[T]) -> T:
        """Carry a flow out."""
        try:
            call = next(flow)
            while True:
                call = flow.send(await self._fetched(call))
        except StopIteration as end:
            return end.value
        except SHAPE:
            raise Malformed("The provider's answer has a shape nobody can read.") from None

    async def _fetched(self, call: Call) -> Any:
        """One JSON document; of a file of lines the first one, in a list."""
        silence = self._provider.silence()
        async with self._provider.sent(call, silence) as reply:
            self._simulated = self._simulated or SIMULATED in reply.headers
            if is_json(media(reply.headers)):
                return read_json(await document(reply, silence, MOST))
            async with aclosing(_lines(reply, silence)) as lines:
                async for line in lines:
                    return [read_json(line)]
        return []

    async def _rows(self, call: Call) -> AsyncGenerator[Any]:
        silence = self._provider.silence()
        async with self._provider.sent(call, silence) as reply:
            self._simulated = self._simulated or SIMULATED in reply.headers
            async with aclosing(_lines(reply, silence)) as lines:
                async for line in lines:
                    yield read_json(line)

    def _outcome(self, raw: Any) -> Outcome:
        row = self._wire.row(mapping(raw))
        try:
            return Outcome(row.id, self._answer(row))
        except ProviderError as error:
            return Outcome(row.id, error=error)
        except SHAPE:
            return Outcome(row.id, error=Malformed("The provider's answer has a shape nobody can read."))

    def _answer(self, row: Row) -> Answer:
        if row.unrun:
            raise UNRUN[row.unrun]
        dialect = self._provider.dialect
        if not 200 <= row.status < 300:
            raise dialect.error(row.status, {}, encoded(row.body).encode("utf-8", "replace"))
        fold = dialect.fold(self._card)
        fold.whole(row.body)
        answer = fold.answer()
        if answer.finish_reason is None:
            raise Truncated("The provider's answer does not say why it ended.")
        return replace(answer, simulated=answer.simulated or self._simulated)


def _text(written: Written) -> str:
    try:
        return encoded(written.call.body)
    except (ValueError, TypeError, RecursionError):
        raise BadRequest(
            "The request cannot be written as JSON: look for NaN, or a schema that holds itself."
        ) from None


async def _lines(reply: Reply, silence: Silence) -> AsyncGenerator[bytes]:
    """The lines of a file, whatever type it is said to have. Raises ProviderError."""
    refuse_encoding(reply)
    decoder = NdJson()
    while piece := await read(reply, silence, "yes"):
        silence.content()
        for _, line in decoder.feed(piece):
            yield line
        silence.waiting()
        if decoder.fault is not None:
            raise decoder.fault
    for _, line in decoder.feed(b"\n"):
        yield line
