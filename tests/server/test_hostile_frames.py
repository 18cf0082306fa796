"""Frames nobody should send (guide §9.1): each is a message or a fault with the right code and id; the reader never breaks."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.types import INVALID_REQUEST, PARSE_ERROR, JSONRPCNotification, JSONRPCRequest

from server.mcp.frames import Fault, Lines, decode, encode

PARSE, INVALID = PARSE_ERROR, INVALID_REQUEST


def ping(**more) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 3, "method": "ping", **more}).encode()


BAD: dict[str, tuple[bytes, int, object]] = {
    "an open brace": (b"{", PARSE, None),
    "half a frame": (ping()[:-4], PARSE, None),
    "two frames in a line": (ping() + ping(), PARSE, None),
    "a frame and rubbish": (ping() + b" x", PARSE, None),
    "single quotes": (b"{'jsonrpc':'2.0','id':1,'method':'ping'}", PARSE, None),
    "a trailing comma": (b'{"jsonrpc":"2.0","id":1,"method":"ping",}', PARSE, None),
    "a comment": (b'{"jsonrpc":"2.0",/*x*/"id":1,"method":"ping"}', PARSE, None),
    "YAML": (b"jsonrpc: 2.0", PARSE, None),
    "XML": (b"<methodCall/>", PARSE, None),
    "an HTTP request": (b"POST /mcp HTTP/1.1", PARSE, None),
    "a Content-Length head": (b"Content-Length: 40", PARSE, None),
    "NUL": (b"\x00", PARSE, None),
    "NUL in a string": (b'{"jsonrpc":"2.0","id":1,"method":"a\x00b"}', PARSE, None),
    "a control in a string": (b'{"jsonrpc":"2.0","id":1,"method":"a\x1fb"}', PARSE, None),
    "invalid UTF-8": (b'{"jsonrpc":"2.0","id":7,"method":"\xff"}', PARSE, None),
    "overlong UTF-8": (b'{"jsonrpc":"2.0","id":7,"method":"\xc0\xaf"}', PARSE, None),
    "a surrogate in UTF-8": (b'{"jsonrpc":"2.0","id":7,"method":"\xed\xa0\x80"}', PARSE, None),
    "UTF-16": (ping().decode().encode("utf-16"), PARSE, None),
    "UTF-32": (ping().decode().encode("utf-32"), PARSE, None),
    "a byte order mark": (b"\xef\xbb\xbf" + ping(), PARSE, None),
    "NaN": (b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"x":NaN}}', PARSE, None),
    "Infinity": (b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"x":Infinity}}', PARSE, None),
    "minus Infinity": (b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"x":-Infinity}}', PARSE, None),
    "an id of 5000 digits": (b'{"jsonrpc":"2.0","id":' + b"1" * 5000 + b',"method":"ping"}', PARSE, None),
    "a hexadecimal number": (b'{"jsonrpc":"2.0","id":0x1,"method":"ping"}', PARSE, None),
    "a leading zero": (b'{"jsonrpc":"2.0","id":01,"method":"ping"}', PARSE, None),
    "a broken escape": (b'{"jsonrpc":"2.0","id":1,"method":"\\x41"}', PARSE, None),
    "half an escape": (b'{"jsonrpc":"2.0","id":1,"method":"\\u12"}', PARSE, None),
    "brackets without end": (b"[" * 100_000, PARSE, None),
    "brackets without end, closed": (b"[" * 100_000 + b"]" * 100_000, PARSE, None),
    "braces without end": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, PARSE, None),
    "null": (b"null", INVALID, None),
    "true": (b"true", INVALID, None),
    "a number": (b"42", INVALID, None),
    "a string": (b'"ping"', INVALID, None),
    "an empty list": (b"[]", INVALID, None),
    "a batch": (b"[" + ping() + b"]", INVALID, None),
    "nothing in it": (b"{}", INVALID, None),
    "no version": (b'{"id":3,"method":"ping"}', INVALID, 3),
    "version 1.0": (b'{"jsonrpc":"1.0","id":3,"method":"ping"}', INVALID, 3),
    "version 2": (b'{"jsonrpc":2.0,"id":3,"method":"ping"}', INVALID, 3),
    "version 2.0 with a blank": (b'{"jsonrpc":"2.0 ","id":3,"method":"ping"}', INVALID, 3),
    "no version and a strange id": (b'{"id":[],"method":"ping"}', INVALID, None),
    "id null": (ping(id=None), INVALID, None),
    "id true": (ping(id=True), INVALID, None),
    "id 1.5": (ping(id=1.5), INVALID, None),
    "id a list": (ping(id=[1]), INVALID, None),
    "id an object": (ping(id={"a": 1}), INVALID, None),
    "no method": (b'{"jsonrpc":"2.0","id":3}', INVALID, 3),
    "method null": (ping(method=None), INVALID, 3),
    "method a number": (ping(method=7), INVALID, 3),
    "method a list": (ping(method=["ping"]), INVALID, 3),
    "method an object": (ping(method={}), INVALID, 3),
    "params a list": (ping(params=[1]), INVALID, 3),
    "params a string": (ping(params="x"), INVALID, 3),
    "params a number": (ping(params=1), INVALID, 3),
    "params true": (ping(params=True), INVALID, 3),
    "an error that is text": (b'{"jsonrpc":"2.0","id":3,"error":"bad"}', INVALID, 3),
    "an error without code": (b'{"jsonrpc":"2.0","id":3,"error":{"message":"x"}}', INVALID, 3),
    "a result that is a list": (b'{"jsonrpc":"2.0","id":3,"result":[1]}', INVALID, 3),
    "a result without an id": (b'{"jsonrpc":"2.0","result":{}}', INVALID, None),
    "a notification with params a list": (b'{"jsonrpc":"2.0","method":"x","params":[]}', INVALID, None),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_it_is_a_fault_with_its_code_and_the_id_it_answers(name: str) -> None:
    line, code, id = BAD[name]
    found = decode(line)
    assert isinstance(found, Fault), found
    assert (found.code, found.id) == (code, id)
    assert len(found.message) < 200 and "Traceback" not in found.message


GOOD = {
    "a request": (ping(), JSONRPCRequest),
    "an id that is text": (ping(id="ü\u2028"), JSONRPCRequest),
    "an id below nothing": (ping(id=-1), JSONRPCRequest),
    "a large id": (ping(id=2**63), JSONRPCRequest),
    "a key twice": (b'{"jsonrpc":"2.0","id":1,"id":3,"method":"ping"}', JSONRPCRequest),
    "keys nobody has": (ping(evil=1), JSONRPCRequest),
    "half of a pair": (b'{"jsonrpc":"2.0","id":3,"method":"ping","params":{"x":"\\ud83d"}}', JSONRPCRequest),
    "line separators inside": (ping(params={"x": "\u2028\u0085\x0b"}), JSONRPCRequest),
    "a notification": (b'{"jsonrpc":"2.0","method":"x"}', JSONRPCNotification),
    "blanks around": (b"  " + ping() + b" \r", JSONRPCRequest),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_odd_and_allowed_is_a_message_that_can_be_written_again(name: str) -> None:
    line, kind = GOOD[name]
    found = decode(line)
    assert isinstance(found, kind)
    assert b"\n" not in encode(found)[:-1]


def test_a_line_above_the_cap_is_never_held_and_the_next_one_is_read() -> None:
    lines = Lines(longest=100)
    found = [
        each
        for piece in (b"x" * 99, b"y" * 10_000, b"\n" + ping()[:20], ping()[20:] + b"\n")
        for each in lines.feed(piece)
    ]
    assert found[0] is None and isinstance(decode(found[0]), Fault) and isinstance(decode(found[1]), JSONRPCRequest)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
FRAMES = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | VALUES,
        "id": st.integers() | st.text(max_size=5) | VALUES,
        "method": st.sampled_from(["ping", "tools/call"]) | VALUES,
        "params": st.dictionaries(st.text(max_size=5), VALUES, max_size=3) | VALUES,
        "result": VALUES,
        "error": VALUES,
    },
)


@settings(max_examples=300, deadline=None, database=None)
@given(FRAMES.map(lambda frame: json.dumps(frame).encode()) | st.binary(max_size=60))
def test_any_line_is_a_message_or_a_fault(line: bytes) -> None:
    found = decode(line)
    if not isinstance(found, Fault):
        assert encode(found).endswith(b"\n")


@settings(max_examples=100, deadline=None, database=None)
@given(st.lists(st.binary(max_size=40), max_size=12), st.integers(1, 50))
def test_lines_are_the_same_however_they_are_cut(pieces: list[bytes], longest: int) -> None:
    whole, cut = Lines(longest), Lines(longest)
    joined = b"".join(pieces)
    once = [*whole.feed(joined), *whole.close()]
    assert [each for piece in pieces for each in cut.feed(piece)] + list(cut.close()) == once
    assert all(each is None or len(each) <= longest for each in once)


def test_there_are_sixty_of_them() -> None:
    assert len(BAD) >= 60
