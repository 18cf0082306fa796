"""Requests nobody should send (guide §9.2), as raw bytes: each gets its status or a closed connection, and the next is served."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from household import served, small_app

from tests.server.http.wire import ask, modern, post, send, status

pytestmark = pytest.mark.anyio
BODY, OWN = ask()
JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


def raw(line: str = "POST /mcp HTTP/1.1", body: bytes = BODY, **change: str | None):
    """A request that is right but for what is changed; None leaves a header out, `_` in a name is a hyphen."""

    def made(port: int) -> bytes:
        headers = {
            "Host": f"127.0.0.1:{port}", "Authorization": "Bearer secret", "Connection": "close",
            "Content-Length": str(len(body)), **JSON, **OWN,
        }  # fmt: skip
        headers |= {name.replace("_", "-"): value for name, value in change.items()}
        lines = "".join(f"{n}: {v.format(port=port)}\r\n" for n, v in headers.items() if v is not None)
        return f"{line}\r\n{lines}\r\n".encode("latin-1") + body

    return made


def plain(text: str):
    return lambda port: text.format(port=port).replace("\n", "\r\n").encode("latin-1")


HEAD = "Host: 127.0.0.1:{port}\nAuthorization: Bearer secret\nConnection: close\n"
# name → (bytes, statuses that are right; 0 is a connection closed without an answer)
REQUESTS = {
    "rubbish": (plain("\x00\x01\x02\x03\n\n"), (400, 0)),
    "TLS": (lambda port: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64, (400, 0)),
    "no method": (plain(" /mcp HTTP/1.1\n" + HEAD + "\n"), (400,)),
    "no version": (plain("POST /mcp\n" + HEAD + "\n"), (400,)),
    "HTTP/0.9": (plain("GET /healthz HTTP/0.9\n" + HEAD + "\n"), (200, 400, 505)),
    "HTTP/2 in clear": (plain("PRI * HTTP/2.0\n\nSM\n\n"), (400, 421, 505, 0)),
    "HTTP/9.9": (plain("GET /healthz HTTP/9.9\n" + HEAD + "\n"), (200, 400, 505)),
    "a method nobody has": (raw("BREW /mcp HTTP/1.1"), (405, 400)),
    "a method of 5000 letters": (raw("A" * 5000 + " /mcp HTTP/1.1"), (400, 405)),
    "GET with the era of 2026": (raw("GET /mcp HTTP/1.1", b""), (405, 400)),
    "DELETE": (raw("DELETE /mcp HTTP/1.1", b""), (405, 400)),
    "PUT": (raw("PUT /mcp HTTP/1.1"), (405,)),
    "TRACE": (raw("TRACE /mcp HTTP/1.1", b""), (405, 400)),
    "CONNECT": (raw("CONNECT evil.example:443 HTTP/1.1", b""), (400, 404, 405)),
    "OPTIONS of a foreign page": (raw("OPTIONS /mcp HTTP/1.1", b"", Origin="https://evil.example"), (403,)),
    "an absolute target elsewhere": (raw("POST http://evil.example/mcp HTTP/1.1"), (200, 400, 404, 421)),
    "a target with a NUL": (plain("GET /a\x00b HTTP/1.1\n" + HEAD + "\n"), (400, 404)),
    "a target of 40,000 letters": (raw(f"GET /{'a' * 40_000} HTTP/1.1", b""), (400, 404, 414, 431)),
    "a way up": (raw("GET /../../etc/passwd HTTP/1.1", b""), (404,)),
    "a way up in disguise": (raw("GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1", b""), (404,)),
    "a way up from what is open": (raw("GET /.well-known/../metrics HTTP/1.1", b"", Authorization=None), (401, 404)),
    "the open door by another spelling": (raw("GET //healthz HTTP/1.1", b"", Authorization=None), (401, 404)),
    "the metrics by another spelling": (raw("GET /%6detrics HTTP/1.1", b"", Authorization=None), (401,)),
    "a place nobody has": (raw("POST /nowhere HTTP/1.1"), (404,)),
    "no token": (raw(Authorization=None), (401,)),
    "a wrong token": (raw(Authorization="Bearer wrong"), (401,)),
    "an empty token": (raw(Authorization="Bearer "), (401,)),
    "no scheme": (raw(Authorization="secret"), (401,)),
    "Basic": (raw(Authorization="Basic c2VjcmV0"), (401,)),
    "the token twice in one": (raw(Authorization="Bearer secret, Bearer secret"), (401,)),
    "a token with NUL": (raw(Authorization="Bearer se\x00cret"), (400, 401)),
    "a token that is not ASCII": (raw(Authorization="Bearer s\xe9cret"), (400, 401)),
    "a token of 20,000 letters": (raw(Authorization="Bearer " + "x" * 20_000), (401, 431)),
    "the token as a question": (raw("POST /mcp?access_token=secret HTTP/1.1", Authorization=None), (401,)),
    "the token as a cookie": (raw(Authorization=None, Cookie="token=secret"), (401,)),
    "no host": (raw(Host=None), (400,)),
    "an empty host": (raw(Host=""), (400, 421)),
    "a foreign host": (raw(Host="evil.example"), (421,)),
    "a host that begins like ours": (raw(Host="127.0.0.1:{port}.evil.example"), (400, 421)),
    "a host with a user": (raw(Host="127.0.0.1:{port}@evil.example"), (400, 421)),
    "another port": (raw(Host="127.0.0.1:1"), (421,)),
    "ours in hexadecimal": (raw(Host="0x7f.1:{port}"), (421,)),
    "a forwarded host": (raw(Host="evil.example", X_Forwarded_Host="127.0.0.1:{port}"), (421,)),
    "a foreign origin": (raw(Origin="https://evil.example"), (403,)),
    "the null origin": (raw(Origin="null"), (403,)),
    "an origin that begins like ours": (raw(Origin="http://127.0.0.1:{port}.evil.example"), (403,)),
    "an origin with a user": (raw(Origin="http://127.0.0.1:{port}@evil.example"), (403,)),
    "an origin with a path": (raw(Origin="http://127.0.0.1:{port}/x"), (403,)),
    "an origin of a file": (raw(Origin="file://"), (403,)),
    "an origin of an extension": (raw(Origin="chrome-extension://abcdef"), (403,)),
    "an origin that is no URL": (raw(Origin="http://[::1"), (403,)),
    "text": (raw(Content_Type="text/plain"), (400, 415)),
    "a form": (raw(Content_Type="application/x-www-form-urlencoded"), (400, 415)),
    "a type that begins like JSON": (raw(Content_Type="application/jsonx"), (415,)),
    "no type": (raw(Content_Type=None), (400, 415)),
    "nothing accepted": (raw(Accept="text/html"), (406,)),
    "a head of 40 KB": (raw(X_Big="y" * 40_000), (431, 400)),
    "a thousand headers": (raw(**{f"X_{n}": "y" * 40 for n in range(1000)}), (431, 400)),
    "a header without a name": (plain("GET /healthz HTTP/1.1\n" + HEAD + ": x\n\n"), (400,)),
    "a header with a blank in its name": (plain("GET /healthz HTTP/1.1\n" + HEAD + "X y: x\n\n"), (400,)),
    "a folded header": (plain("GET /healthz HTTP/1.1\n" + HEAD + "X-A: a\n b\n\n"), (200, 400)),
    "a bare line feed": (lambda port: f"GET /healthz HTTP/1.1\nHost: 127.0.0.1:{port}\nConnection: close\n\n".encode(), (200, 400)),
    "a length and chunks": (raw(Transfer_Encoding="chunked"), (400,)),
    "two lengths": (plain("POST /mcp HTTP/1.1\n" + HEAD + "Content-Length: 1\nContent-Length: 2\n\nxx"), (400,)),
    "a negative length": (raw(Content_Length="-1"), (400,)),
    "a length in words": (raw(Content_Length="ten"), (400,)),
    "a length in hexadecimal": (raw(Content_Length="0x10"), (400,)),
    "a length beyond all": (raw(Content_Length="1" + "0" * 30), (400, 413)),
    "a body announced as endless": (raw(Content_Length=str(1 << 40)), (413,)),
    "a chunk of no size": (plain("POST /mcp HTTP/1.1\n" + HEAD + "Content-Type: application/json\nTransfer-Encoding: chunked\n\nzz\n\n"), (400, 0)),
    "a chunk beyond all": (plain("POST /mcp HTTP/1.1\n" + HEAD + "Content-Type: application/json\nTransfer-Encoding: chunked\n\n" + "f" * 40 + "\n"), (400, 413, 0)),
    "a coding nobody has": (raw(Content_Length=None, Transfer_Encoding="gzip, chunked"), (400, 501)),
    "a body in gzip": (raw(Content_Encoding="gzip"), (400, 415, 200)),
    "no body": (raw(body=b""), (400,)),
    "no JSON": (raw(body=b"{bad"), (400,)),
    "a batch": (raw(body=b"[" + BODY + b"]"), (400,)),
    "brackets without end": (raw(body=b"[" * 100_000), (400,)),
    "no UTF-8": (raw(body=b'{"jsonrpc":"2.0","id":1,"method":"\xff"}'), (400,)),
    "a body of 33 MiB": (raw(body=b"x" * (33 << 20)), (413,)),
    "a header that contradicts the body": (raw(Mcp_Method="tools/list"), (400,)),
    "a name that contradicts the body": (raw(Mcp_Name="fuse"), (400,)),
    "an era nobody knows": (raw(MCP_Protocol_Version="2099-01-01"), (400,)),
    "a session nobody has": (raw(MCP_Protocol_Version="2025-11-25", Mcp_Session_Id="0" * 32), (400, 404)),
    "an upgrade": (raw("GET /mcp HTTP/1.1", b"", Connection="Upgrade", Upgrade="websocket", Sec_WebSocket_Key="eA=="), (400, 404, 405, 426)),
    "an upgrade to HTTP/2": (raw("GET /healthz HTTP/1.1", b"", Connection="Upgrade, HTTP2-Settings", Upgrade="h2c", HTTP2_Settings="AAM"), (200, 400)),
    "a key nobody can bring": (raw(X_Plenum_Key="nonsense"), (400,)),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
async def test_it_is_refused_and_the_next_one_is_served(name: str) -> None:
    made, right = REQUESTS[name]
    app = small_app()
    async with served(app) as port:
        answer = await send(port, made(port), patience=20)
        assert status(answer) in right, answer[:300]
        assert b"Traceback" not in answer and b"passwd" not in answer.partition(b"\r\n\r\n")[2]
        if 200 not in right:
            assert app.manager.calls == 0
        assert (await post(port, *modern("tools/list"), patience=30))[0] == 200


def test_there_are_sixty_of_them() -> None:
    assert len(REQUESTS) >= 60
