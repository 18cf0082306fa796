"""Whatever bytes a provider sends, in whatever dialect and pieces: an answer, or exactly one ProviderError."""

import json
from collections import deque

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.dialects import load, names
from providers.errors import ProviderError
from providers.http.silence import Silence
from providers.http.stream import HttpStream
from providers.types import ModelCard

KEYS = "choices delta content index finish_reason usage error message type candidates parts text done output response".split()
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
ITEMS = VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=20)
MEDIA = st.sampled_from(["text/event-stream", "application/x-ndjson", "application/json", "text/html", ""])


class Told:
    """A reply from memory."""

    status = 200

    def __init__(self, media: str, pieces: list[bytes]) -> None:
        self.headers = {"content-type": media}
        self._pieces = deque(pieces)

    async def read(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        return self._pieces.popleft() if self._pieces else b""

    async def settle(self) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize("dialect", names())
@settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(MEDIA, st.lists(ITEMS, max_size=5), st.integers(1, 40))
def test_any_bytes_end_in_an_answer_or_in_one_error_of_ours(dialect, media, items, width):
    joint = b"\n" if media == "application/x-ndjson" else b""
    lines = [b"data: " + item + b"\n\n" if media == "text/event-stream" else item + joint for item in items]
    body = b"".join(lines)
    pieces = [body[at : at + width] for at in range(0, len(body), width)]

    async def read() -> None:
        silence = Silence(5, 5)
        stream = HttpStream(Told(media, pieces), load(dialect).fold(ModelCard("m")), silence, ())
        try:
            async for _ in stream:
                pass
            assert stream.answer.finish_reason is not None
        except ProviderError:
            pass
        stream.answer.text.encode()

    anyio.run(read)
