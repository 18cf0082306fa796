"""Fetching one picture from a public address, and from no other: resolved once, checked, and connected to just there.

The name is resolved by us, every address it has must be public, and the connection goes to the address that was
checked: a name that changes its mind between check and use (rebinding) changes nothing. No redirects, no proxy, no
cookies; bounded in bytes and seconds. Blocking, for a worker thread.
"""

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from routing.errors import InvalidRequest, PolicyForbids

from .images import kind

LARGEST = 6 << 20  # bytes, as for pictures sent as data
CONNECT_S, TOTAL_S = 5.0, 20.0
Resolver = Callable[[str, int], Sequence[str]]
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def resolved(host: str, port: int) -> Sequence[str]:
    """Every address of a name, as the system knows it (so 127.1 and 0x7f.1 become what they mean)."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def public(address: str) -> bool:
    """Whether an address is out on the internet, also behind every dress an IPv4 address can wear in IPv6."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id is not None:
            return False
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is None and int(ip) >> 32 == 0:  # ::a.b.c.d, deprecated and still routed by some
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return public(str(inner))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class _Pinned(http.client.HTTPSConnection):
    """A connection to one address, speaking and checking TLS for the name."""

    def __init__(self, host: str, port: int, address: str, tls: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=CONNECT_S, context=tls)
        self._address = address
        self._tls = tls

    def connect(self) -> None:
        """To the address that was checked."""
        raw = socket.create_connection((self._address, self.port), CONNECT_S)
        try:
            self.sock = self._tls.wrap_socket(raw, server_hostname=self.host)
        except BaseException:
            raw.close()
            raise


def fetched(
    url: str,
    resolve: Resolver = resolved,
    allowed: Callable[[str], bool] = public,
    tls: ssl.SSLContext | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[str, bytes]:
    """Media type and content of a picture. Raises PolicyForbids for addresses, InvalidRequest for everything else."""
    host, port, target = _parsed(url)
    addresses = resolve(host, port)
    if not addresses:
        raise _unusable("its host is not known")
    if not all(map(allowed, addresses)):
        raise PolicyForbids(
            "A picture's URL leads to an address that is not public.", hint="Send the picture itself as a data: URL."
        )
    connection = _Pinned(host, port, addresses[0], tls or ssl.create_default_context())
    try:
        return _read(connection, target, clock() + TOTAL_S, clock)
    except (OSError, http.client.HTTPException):
        raise _unusable("it cannot be fetched") from None
    finally:
        connection.close()


def _parsed(url: str) -> tuple[str, int, str]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 443
    except ValueError:
        raise _unusable("it is no URL") from None
    if parts.scheme != "https" or not host or parts.username is not None or not url.isascii():
        raise _unusable("it must be a plain https URL, without a user in it")
    if any(c <= " " or c == "\x7f" for c in url) or "\\" in url:
        raise _unusable("it holds characters no URL has")
    return host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _read(connection: _Pinned, target: str, ends: float, clock: Callable[[], float]) -> tuple[str, bytes]:
    headers = {"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "plenum"}
    connection.request("GET", target, headers=headers)
    response = connection.getresponse()
    if response.status != 200:
        raise _unusable(f"its server answered {response.status}; redirects are not followed")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise _unusable("it came compressed, unasked")
    content = bytearray()
    while chunk := response.read1(1 << 16):
        content += chunk
        if len(content) > LARGEST:
            raise _unusable(f"it is larger than {LARGEST >> 20} MiB")
        if clock() > ends:
            raise _unusable(f"it took longer than {TOTAL_S:g} s")
    media = kind(bytes(content[:16]))
    if media is None:
        raise _unusable("it is no PNG, JPEG, GIF or WebP")
    return media, bytes(content)


def _unusable(why: str) -> InvalidRequest:
    return InvalidRequest(f"A picture's URL cannot be used: {why}.", hint="Send the picture itself as a data: URL.")
