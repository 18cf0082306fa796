"""How long a body may be: what it says of itself is believed where the readers hold it to that, all else is counted."""

import pytest

from server.http.bounded import Bounded

pytestmark = pytest.mark.anyio
PIECES = (b"abc", b"def")


async def through(*headers: tuple[bytes, bytes], most: int = 6) -> list[object]:
    """What happened, in order: pieces read off the wire, pieces the application was given, the status answered."""
    happened: list[object] = []
    pieces = list(PIECES)

    async def receive():
        piece = pieces.pop(0)
        happened.append(("read", piece))
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def app(scope, receive, send):
        more = True
        while more:
            message = await receive()
            happened.append(("given", message["body"]))
            more = message["more_body"]

    async def send(message):
        if message["type"] == "http.response.start":
            happened.append(message["status"])

    await Bounded(app, most)({"type": "http", "method": "POST", "headers": list(headers)}, receive, send)
    return happened


async def test_a_body_that_says_its_length_comes_in_as_it_comes() -> None:
    seen = await through((b"host", b"a"), (b"content-length", b"6"))
    assert seen == [("read", b"abc"), ("given", b"abc"), ("read", b"def"), ("given", b"def")]


@pytest.mark.parametrize("length", [b"7", b"1" + b"0" * 30])
async def test_one_that_says_to_be_too_long_is_refused_unread(length: bytes) -> None:
    assert await through((b"content-length", length)) == [413]


@pytest.mark.parametrize("headers", [(), ((b"content-length", b"-1"),), ((b"content-length", b"six"),)])
async def test_one_that_does_not_say_is_counted_before_anybody_is_given_it(headers) -> None:
    assert await through(*headers) == [("read", b"abc"), ("read", b"def"), ("given", b"abcdef")]
    assert await through(*headers, most=5) == [("read", b"abc"), ("read", b"def"), 413]


async def test_what_is_no_request_passes() -> None:
    seen: list[str] = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    await Bounded(app, 6)({"type": "lifespan"}, None, None)
    assert seen == ["lifespan"]
