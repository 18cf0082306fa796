"""Raw HTTP: a client library would hide what these tests look at."""

import asyncio
import json
from typing import Any

META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


def modern(method: str, named: str = "", **params: Any) -> tuple[bytes, dict[str, str]]:
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": method,
        "params": {**params, "_meta": {**META, **params.pop("_meta", {})}},
    }
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
    return json.dumps(body).encode(), headers | ({"Mcp-Name": named} if named else {})


def ask(prompt: str = "Hello", **arguments: Any) -> tuple[bytes, dict[str, str]]:
    return modern("tools/call", "generate", name="generate", arguments={"prompt": prompt, **arguments})


async def send(port: int, head: bytes, body: bytes = b"", patience: float = 60) -> bytes:
    """The whole answer, or what came until `patience` ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head + body)
    answer = b""
    try:
        async with asyncio.timeout(patience):
            while chunk := await reader.read(1 << 16):
                answer += chunk
    except (TimeoutError, ConnectionError):
        answer += bytes(reader._buffer)  # a reset hides what had come before it
    finally:
        writer.close()
    return answer


async def post(
    port: int, body: bytes, headers: dict[str, str] | None = None, *, path: str = "/mcp", patience: float = 60
) -> tuple[int, bytes]:
    """Status and body. A header given as None is left out."""
    every = {
        "Host": f"127.0.0.1:{port}",
        "Authorization": "Bearer secret",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **(headers or {}),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in every.items() if value is not None)
    answer = await send(port, f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode(), body, patience)
    return status(answer), answer.partition(b"\r\n\r\n")[2]


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0
