"""A provider (OpenAI chat) that tells its caller the key it was asked with: in text, in thoughts, in tool calls, cut anywhere."""

import asyncio
import json
from contextlib import asynccontextmanager

CONFIG = """
[providers.echo]
dialect = "openai_chat"
base_url = "{url}"
api_key_env = "ECHO_KEY"
[[providers.echo.models]]
id = "m"
context_window = 32000
capabilities = ["streaming", "tools", "reasoning", "sampling"]
price = {{ input = 1.0, output = 2.0 }}
"""


@asynccontextmanager
async def echoing(
    size: int = 3, kinds: tuple[str, ...] = ("content",), write=lambda key: f"your key is {key}, keep it"
):
    """Yields its URL. Streams pieces of `size` characters where a stream is asked for."""

    async def handle(reader, writer) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        body = json.loads(await reader.readexactly(int(fields["content-length"])))
        key = next(line for line in head.split("\r\n") if line.lower().startswith("authorization")).split(" ", 2)[2]
        text = write(key)
        stream = bool(body.get("stream"))
        sent = _events(text, size, kinds) if stream else json.dumps(_whole(text, kinds)).encode()
        kind = "text/event-stream" if stream else "application/json"
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n".encode() + sent)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


def _delta(kind: str, piece: str, *, first: bool) -> dict:
    if kind != "tool":
        return {kind: piece}
    start = {"id": "c1", "type": "function"} if first else {}
    name = {"name": "f"} if first else {}
    return {"tool_calls": [{"index": 0, **start, "function": {**name, "arguments": piece}}]}


def _events(text: str, size: int, kinds: tuple[str, ...]) -> bytes:
    deltas = [{"role": "assistant", "content": ""}]
    for kind in kinds:
        said = json.dumps({"x": text}) if kind == "tool" else text
        pieces = [said[at : at + size] for at in range(0, len(said), size)]
        deltas += [_delta(kind, piece, first=not at) for at, piece in enumerate(pieces)]
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "tool_calls" if "tool" in kinds else "stop"})
    events = [{"id": "1", "object": "chat.completion.chunk", "model": "m", "choices": [c]} for c in choices]
    events[-1]["usage"] = {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12}
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"


def _whole(text: str, kinds: tuple[str, ...]) -> dict:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "1", "model": "m", "choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 9}}
