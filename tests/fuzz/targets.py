"""What is fuzzed: one function per border, from bytes. Any exception but the mapped ones is a bug.

Hypothesis calls them in the suite (`test_targets.py`), atheris by coverage in `make fuzz`.
"""

import atexit
import json
import shutil
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import anyio
import h11
from anyio.lowlevel import checkpoint

from providers.dialects import load as dialect
from providers.dialects import names
from providers.errors import ProviderError
from providers.http.silence import Silence
from providers.http.stream import HttpStream
from providers.types import ModelCard
from routing.errors import Refusal
from server.config import ConfigFault, load
from server.config.load import Folders
from server.examined import examined
from server.http import plain
from server.http.openai import bodies, chat, embedding, responses
from server.http.openai.bodies import Caller
from server.mcp.exact import BadArguments, validated
from server.mcp.frames import Fault, Lines, decode, encode
from server.mcp.scrub import told_tree
from server.security.faults import VaultFault
from server.security.files import write_private
from server.security.locks import Locksmith
from server.security.vault import Vault
from server.tools.costs import Costs
from server.tools.fuse import Fuse
from server.tools.fuse import ask_of as fuse_ask
from server.tools.generate import Generate
from server.tools.generate import ask_of as generate_ask
from server.tools.list_models import ListModels

PLACE = Path(tempfile.mkdtemp(prefix="plenum-fuzz-"))
atexit.register(shutil.rmtree, PLACE, ignore_errors=True)
DIALECTS = names()
MEDIA = ("text/event-stream", "application/x-ndjson", "application/json")


def configuration(data: bytes) -> None:
    """A file of any bytes is read, or is a fault."""
    file = PLACE / "plenum.toml"
    file.write_bytes(data)
    try:
        examined(load(file, {}, Folders(PLACE, PLACE)))
    except ConfigFault as fault:
        str(fault).encode()


def frames(data: bytes) -> None:
    """Every line is a message that can be written again, or a fault."""
    lines = Lines(longest=1 << 16)
    half = len(data) // 2
    for line in (*lines.feed(data[:half]), *lines.feed(data[half:]), *lines.close()):
        found = decode(line)
        if not isinstance(found, Fault):
            assert encode(found).endswith(b"\n")


def arguments(data: bytes) -> None:
    """Arguments of every tool: an ask, or an error in our own words."""
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return
    for model, ask in ((Generate, generate_ask), (Fuse, fuse_ask), (Costs, None), (ListModels, None)):
        try:
            found = validated(model, said if isinstance(said, dict) else {"prompt": said})
            if ask is not None:
                ask(found, "fuzz")
        except (BadArguments, Refusal) as refused:
            str(refused).encode()


def heads(data: bytes) -> None:
    """What is read as a plain request, h11 reads as the same one, to the last byte of its body."""
    head = plain.read(data)
    if head is None or head.length > len(data):
        return
    h11s = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    h11s.receive_data(data[: head.size] + b"x" * head.length)
    request = h11s.next_event()
    assert (request.method.decode(), request.target, list(request.headers)) == (head.method, head.target, head.headers)
    assert request.http_version == b"1.1"
    body = b""
    while isinstance(event := h11s.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage) and len(body) == head.length and not h11s.trailing_data[0]
    assert head.keeps is (h11s.their_state is not h11.MUST_CLOSE)


def doors(data: bytes) -> None:
    """Bodies of `/v1`: an ask, or an error in OpenAI's form."""
    for model, request in (
        (chat.ChatBody, chat.request),
        (responses.ResponsesBody, responses.request),
        (embedding.EmbeddingsBody, None),
    ):
        try:
            body = bodies.parsed(model, data)
            if request is not None:
                bodies.ask(body, request(body), Caller("fuzz"))
        except Refusal as refused:
            str(refused).encode()


def decoder(data: bytes) -> None:
    """A provider's bytes in every dialect: an answer, or one ProviderError; the text can be encoded and told."""
    media, pieces = (
        MEDIA[data[0] % len(MEDIA)] if data else MEDIA[0],
        [data[at : at + 17] for at in range(1, len(data), 17)],
    )
    for name in DIALECTS:
        anyio.run(_read, name, media, pieces)


async def _read(name: str, media: str, pieces: list[bytes]) -> None:
    waiting = deque(pieces)

    async def read() -> bytes:
        await checkpoint()
        return waiting.popleft() if waiting else b""

    async def settle() -> None: ...

    reply = SimpleNamespace(status=200, headers={"content-type": media}, read=read, settle=settle, close=lambda: None)
    stream = HttpStream(reply, dialect(name).fold(ModelCard("m")), Silence(5, 5), ())
    try:
        async for _ in stream:
            pass
    except ProviderError as error:
        str(error).encode()
    stream.answer.text.encode()
    json.dumps(
        told_tree({"text": stream.answer.text, "calls": [c.arguments for c in stream.answer.tool_calls]})
    ).encode()


def vault(data: bytes) -> None:
    """A vault of any bytes is a fault."""
    write_private(PLACE / "vault.json", data)
    try:
        Vault(PLACE / "vault.json", Locksmith(PLACE, {}, lambda: None, None)).open()
    except VaultFault as fault:
        str(fault).encode()


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each for each in (configuration, frames, arguments, heads, doors, decoder, vault)
}  # fmt: skip

# What a fuzzer begins with: the shapes that get past the first check.
SEEDS: dict[str, tuple[bytes, ...]] = {
    "configuration": (
        b'[providers.x]\ndialect = "openai_chat"\nbase_url = "https://x.example/v1"\n[[providers.x.models]]\nid = "m"\n',
        b'[routing]\nstrategy = "cost"\n[routing.tasks]\na = { kind = "code" }\n[budget]\ndaily_usd = 1\ntime_zone = "UTC"\n',
    ),
    "frames": (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"generate"}}\n', b"[]\n{}\n"),
    "arguments": (
        b'{"prompt":"x","model":"auto","schema":{"type":"object"},"options":{"tools":[{"name":"f"}]}}',
        b'{"messages":[{"role":"user","content":"x"}],"images":["data:image/png;base64,AA=="]}',
    ),
    "heads": (
        b"POST /v1/x?y=1 HTTP/1.1\r\nHost: a:1\r\nContent-Type: a/b;\tc\r\nContent-Length: 3\r\nConnection: Close\r\n\r\nabc",
        b"GET /%41 HTTP/1.1\r\nhost:a\r\nX-Empty:\r\nX-Blanks: \t a b \t\r\nConnection: keep-alive\r\n\r\n",
    ),
    "doors": (
        b'{"model":"auto","messages":[{"role":"user","content":[{"type":"text","text":"x"}]}],"stream":true}',
        b'{"model":"auto","input":[{"role":"user","content":"x"}],"tools":[{"type":"function","name":"f"}]}',
    ),
    "decoder": (
        b'\0data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
        b'\0event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}\n\n',
        b'\2{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"}]}',
        b'\1{"message":{"content":"x"},"done":true,"done_reason":"stop"}\n',
    ),
    "vault": (b'{"version":1,"id":"x","lock":{"kind":"file"},"entries":[]}',),
}  # fmt: skip
