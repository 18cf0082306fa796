"""The decoders: what is an event, however the bytes are cut; what is out of bounds; nothing else ever comes out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers import sse
from providers.sse import NdJson, Sse


def events(pieces, make=Sse):
    decoder = make()
    return [event for piece in pieces for event in decoder.feed(piece)]


def reference(document: bytes) -> list[tuple[str, bytes]]:
    """The WHATWG algorithm, line by line, slowly; events without data are passed over."""
    text = document.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    found, name, data = [], b"", []
    for line in text.split(b"\n")[:-1]:
        if not line:
            if joined := b"\n".join(data):
                found.append((name.decode("utf-8", "replace"), joined))
            name, data = b"", []
            continue
        field, _, value = line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return found


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b"data: a\n\ndata: b\n\n", [("", b"a"), ("", b"b")]),
        (b"event: x\ndata: a\n\n", [("x", b"a")]),
        (b"data:a\n\n", [("", b"a")]),
        (b"data: a\r\n\r\ndata: b\r\rdata: c\n\n", [("", b"a"), ("", b"b"), ("", b"c")]),
        (b"data: a\ndata: b\n\n", [("", b"a\nb")]),
        (b": keep-alive\n\ndata: a\n\n", [("", b"a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [("", b"a")]),
        ("data: a\u2028b\x85\x0b\n\n".encode(), [("", "a\u2028b\x85\x0b".encode())]),
        (b"data: cut", []),
        (b"data: cut\n", []),
        (b"data\n\ndata:\n\ndata: \n\n", []),
        (b"id: 1\nretry: 5\ndata: a\n\n", [("", b"a")]),
    ],
)
def test_an_event_is_what_the_standard_says(document, expected):
    assert events([document]) == expected
    assert events([bytes([byte]) for byte in document]) == expected


LINES = st.sampled_from([b"", b": c", b"event: error", b"data", b"data:x", b"data: y", b"\xef\xbb\xbf", b"id: 3"])
BREAKS = st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n"])
DOCUMENTS = st.lists(st.tuples(LINES | st.binary(max_size=6), BREAKS), max_size=12).map(
    lambda pairs: b"".join(line + end for line, end in pairs)
)


@settings(max_examples=400, deadline=None, database=None)
@given(DOCUMENTS, st.lists(st.integers(0, 200), max_size=10))
def test_cutting_the_bytes_anywhere_changes_no_event(document, cuts):
    cuts = sorted({min(cut, len(document)) for cut in cuts})
    pieces = [document[a:b] for a, b in zip([0, *cuts], [*cuts, len(document)], strict=True)]
    assert events(pieces) == events([document]) == reference(document)


@settings(max_examples=200, deadline=None, database=None)
@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n"), min_size=1, max_size=8), max_size=6), st.integers(1, 7)
)
def test_lines_of_json_come_back_however_they_are_cut(lines, width):
    document = "".join(line + "\n" for line in lines).lstrip("\ufeff").encode("utf-8", "replace")
    pieces = [document[at : at + width] for at in range(0, len(document), width)]
    expected = [("", line) for line in document.split(b"\n") if line]
    assert events(pieces, NdJson) == expected


@pytest.mark.parametrize("size", [1 << 10, 1 << 16])
def test_an_event_without_an_end_is_refused_at_the_bound_and_not_kept(size):
    decoder, sent = Sse(), 0
    while decoder.fault is None:
        assert decoder.feed(b"x" * size) == []
        sent += size
    assert sse.MAX_EVENT < sent <= sse.MAX_EVENT + size
    assert decoder.fault.billed == "unknown"
    assert decoder.feed(b"\n\ndata: late\n\n") == []


def test_what_came_before_an_event_too_long_is_kept():
    decoder = Sse()
    piece = b"data: a\n\ndata: " + b"x" * sse.MAX_EVENT + b"\n\ndata: b\n\n"
    assert decoder.feed(piece) == [("", b"a")]
    assert decoder.fault is not None


def test_a_stream_without_an_end_is_refused_at_its_bound():
    decoder = NdJson()
    line = b"x" * (1 << 19) + b"\n"
    for _ in range(sse.MAX_STREAM // len(line)):
        assert len(decoder.feed(line)) == 1
    assert decoder.fault is None
    for _ in range(2):
        decoder.feed(line)
    assert decoder.fault is not None and decoder.fault.billed == "yes"
