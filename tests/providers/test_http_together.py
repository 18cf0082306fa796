"""What came together over HTTP is handed over together to whoever asks so; faults, ends and silence stay where they were."""

from collections import deque

import pytest

from providers.dialects import load
from providers.errors import Malformed, ProviderError, Truncated
from providers.http.silence import Silence
from providers.http.stream import HttpStream
from providers.simulator.faults import DONE, STOP, A, B
from providers.types import Delta, ModelCard

pytestmark = pytest.mark.anyio

ALIVE = b'data: {"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use"}}\n\n'


class Told:
    """A reply in these pieces."""

    status = 200
    headers = {"content-type": "text/event-stream"}

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = deque(pieces)

    async def read(self) -> bytes:
        return self._pieces.popleft() if self._pieces else b""

    async def settle(self) -> None: ...

    def close(self) -> None: ...


def stream(*pieces: bytes, dialect: str = "openai_chat", silence: Silence | None = None) -> HttpStream:
    return HttpStream(Told(*pieces), load(dialect).fold(ModelCard("m")), silence or Silence(60, 60), ())


def said(*texts: str) -> list[Delta]:
    return [Delta("text", text) for text in texts]


async def test_what_came_in_one_piece_is_handed_over_at_once_and_nothing_at_the_end():
    answering = stream(A + B + A, B, STOP + DONE)
    assert list(await answering.several()) == said("a", "b", "a")
    assert list(await answering.several()) == said("b")
    assert [list(await answering.several()) for _ in range(2)] == [[], []]
    assert (answering.answer.text, answering.answer.finish_reason) == ("abab", "stop")


async def test_one_by_one_and_together_go_on_where_the_other_stopped():
    answering = stream(A + B + B, A + STOP + DONE)
    assert await anext(answering) == Delta("text", "a")
    assert list(await answering.several()) == said("b", "b")
    assert [delta async for delta in answering] == said("a")
    assert list(await answering.several()) == []


@pytest.mark.parametrize(
    ("broken", "error"), [((A + B + b"data: nonsense\n\n" + B,), Malformed), ((A + B, b""), Truncated)]
)
async def test_what_came_before_a_fault_is_handed_over_before_it(broken, error):
    answering = stream(*broken)
    assert list(await answering.several()) == said("a", "b")
    for _ in range(2):
        with pytest.raises(error):
            await answering.several()
    assert answering.answer.text == "ab"


async def test_a_fault_among_the_first_pieces_knows_that_content_came_with_it():
    fault = b'data: {"error": {"message": "overloaded", "type": "overloaded_error"}}\n\n'
    for before, billed in ((A, "yes"), (b"", "unknown")):
        answering = stream(before + fault)
        with pytest.raises(ProviderError) as caught:
            [delta async for delta in answering]
        assert caught.value.billed == billed


class Noted(Silence):
    """Notes when it is told that content came."""

    def __init__(self) -> None:
        super().__init__(60, 60)
        self.contents = 0

    def content(self) -> None:
        self.contents += 1
        super().content()


async def test_silence_is_broken_by_a_piece_with_content_once_and_by_no_sign_of_life():
    silence = Noted()
    answering = stream(A + B, ALIVE, B, STOP + DONE, silence=silence)
    while await answering.several():
        pass
    assert silence.contents == 2
    silence = Noted()
    answering = stream(ALIVE, ALIVE, dialect="anthropic", silence=silence)
    assert list(await answering.several()) == [Delta("alive")]
    assert silence.contents == 0
