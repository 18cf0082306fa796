"""A request's head in its plain form, read by one expression. What deviates is not refused here: h11 reads and judges it.

Plain is nearly all that clients send, and nothing that two readers could take for two things: HTTP/1.1, GET or POST, a path,
every header once and on one line, a length or no body; no chunks, no upgrade, no waiting for leave.
"""

import re
from dataclasses import dataclass

_NAME = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"  # RFC 9110 §5.6.2
# Possessive throughout: what does not match is known after one look at each byte.
_HEAD = re.compile(rb"(GET|POST) (/[!-~]*+) HTTP/1\.1\r\n((?:%b:[\t -~]*+\r\n)++)\r\n" % _NAME)
_DEVIANT = frozenset((b"transfer-encoding", b"upgrade", b"expect", b"trailer", b"te"))
_DIGITS = 15  # of a length; longer ones are refused elsewhere


@dataclass(frozen=True, slots=True)
class Head:
    """A plain head. `size` bytes of what was read belong to it, `length` bytes of body follow."""

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    size: int
    length: int
    keeps: bool  # the connection


def read(data: bytes) -> Head | None:
    """The head that `data` begins with; None where it is not plain, or not all there."""
    found = _HEAD.match(data)
    if found is None:
        return None
    lines = (line.partition(b":") for line in found[3].split(b"\r\n")[:-1])
    headers = [(name.lower(), value.strip(b" \t")) for name, _, value in lines]
    said = dict(headers)
    length, connection = said.get(b"content-length", b"0"), said.get(b"connection", b"keep-alive").lower()
    if len(said) < len(headers) or b"host" not in said or not _DEVIANT.isdisjoint(said):
        return None
    if not length.isdigit() or len(length) > _DIGITS or connection not in (b"keep-alive", b"close"):
        return None
    return Head(found[1].decode(), found[2], headers, found.end(), int(length), connection == b"keep-alive")
