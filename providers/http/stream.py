"""One answer on its way over HTTP: pieces in, deltas out, a finish reason or an error at the end.

A document is an answer of one piece, so whole and streamed answers leave by the same door. What came before a fault
stays readable in `answer`.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, Self

from ..dialects import Fold, read_json
from ..errors import ContentRefused, Malformed, ProviderError, Truncated
from ..sse import Decoder, decoder
from ..types import Answer, Delta
from .reading import SHAPE, document, media, read, refuse_encoding
from .session import Reply
from .silence import Silence

_FRAMING: Mapping[str, Literal["sse", "ndjson"]] = {
    "text/event-stream": "sse",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
}
REQUEST_IDS = ("x-request-id", "request-id", "x-ms-request-id", "x-goog-request-id")
SIMULATED = "x-plenum-simulated"  # set by our own simulator, so that its answers are labelled over HTTP too


class HttpStream:
    """Satisfies `Stream`. Iterate once; the end of the iteration means the provider said why it stopped."""

    __slots__ = (
        "_complete",
        "_decoder",
        "_ended",
        "_failed",
        "_fold",
        "_grown",
        "_ready",
        "_reply",
        "_silence",
        "_warnings",
    )

    def __init__(self, reply: Reply, fold: Fold, silence: Silence, warnings: tuple[str, ...]) -> None:
        self._reply = reply
        self._fold = fold
        self._silence = silence
        self._warnings = warnings
        self._ready: deque[Delta] = deque()
        self._decoder: Decoder | None = None
        self._grown = False  # content came: from here on somebody pays
        self._ended = False
        self._failed: ProviderError | None = None
        self._complete: Answer | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """Of the reply; names in lower case."""
        return self._reply.headers

    @property
    def answer(self) -> Answer:
        """What stands so far."""
        return self._complete or self._dressed(self._fold.answer())

    def _dressed(self, answer: Answer) -> Answer:
        headers = self._reply.headers
        request_id = answer.provider_request_id or next((headers[name] for name in REQUEST_IDS if name in headers), "")
        told = (request_id[:128], self._warnings + answer.warnings, answer.simulated or SIMULATED in headers)
        if told == (answer.provider_request_id, answer.warnings, answer.simulated):
            return answer
        return replace(answer, provider_request_id=told[0], warnings=told[1], simulated=told[2])

    @property
    def longest_s(self) -> float:
        """Seconds that nobody waits longer for a piece of content: then the silence has ended the answer."""
        return self._silence.idle_s

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delta:
        if not self._ready:
            self._ready.extend(await self.several())
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    async def several(self) -> Sequence[Delta]:
        """What came together, none at the end: for readers to whom one by one is no use, and dear."""
        while not self._ready:
            if self._failed is not None:
                raise self._failed
            if self._ended:
                break
            await self._refill()
        came = tuple(self._ready)
        self._ready.clear()
        return came

    async def _refill(self) -> None:
        """Read until there may be something to hand out. A fault is kept until what came before it is handed out."""
        self._silence.waiting()
        try:
            if self._decoder is None:
                await self._begin()
            else:
                await self._next_events(self._decoder)
        except ProviderError as error:
            self._failed = _inside_success(error, grown=self._grown)
        except SHAPE:
            self._failed = Malformed("The provider's answer has a shape nobody can read.")

    async def _begin(self) -> None:
        kind = media(self._reply.headers)
        if framing := _FRAMING.get(kind):
            refuse_encoding(self._reply)
            self._decoder = decoder(framing)
            return
        body = await document(self._reply, self._silence)
        self._ended = True
        self._ready += self._fold.whole(read_json(body))
        self._heed()
        self._keep("The provider's answer does not say why it ended.")

    async def _next_events(self, taken: Decoder) -> None:
        piece = await read(self._reply, self._silence, "yes")
        fold, ready = self._fold, self._ready
        try:
            for name, data in taken.feed(piece):
                ready += fold.event(name, data)
                if fold.done:
                    break
        finally:
            self._heed()
        if fold.done or not piece:
            await self._finish()
        elif taken.fault is not None:
            raise taken.fault

    async def _finish(self) -> None:
        self._ended = True
        self._keep("The stream ended and the provider did not say why.")
        await self._reply.settle()

    def _keep(self, otherwise: str) -> None:
        answer = self._dressed(self._fold.answer())
        if answer.finish_reason is None:
            raise Truncated(otherwise)
        self._complete = answer

    def _heed(self) -> None:
        for delta in self._ready:
            if delta[0] != "alive":
                self._grown = True
                self._silence.content()
                return


def _inside_success(error: ProviderError, *, grown: bool) -> ProviderError:
    """An error that comes inside a 200 was work begun: nobody may assume that it is free."""
    if isinstance(error, ContentRefused):
        error.billed = "yes"
    elif error.vote == "failure" and not isinstance(error, Malformed):
        error.billed = "yes" if grown and error.kind != "timeout" else max(error.billed, "unknown", key=_certainty)
    return error


def _certainty(billed: str) -> int:
    return ("no", "unknown", "yes").index(billed)
