"""The floor of bench.mcp: a bare SDK server, on the SDK's own transports, whose one tool asks one upstream on our engine."""

import json
import sys

import httpx
from httpx_aiohttp import AiohttpTransport
from mcp.server.mcpserver import MCPServer

mcp = MCPServer("bare", log_level="WARNING")
client: list[httpx.AsyncClient] = []


@mcp.tool(structured_output=False)
async def generate(prompt: str, model: str) -> str:
    """Ask."""
    if not client:
        client.append(
            httpx.AsyncClient(transport=AiohttpTransport(limits=httpx.Limits(max_connections=1024)), timeout=60)
        )
    payload = {"model": model, "messages": [{"role": "user", "content": prompt}], "stream": True}
    texts, buffer = [], b""
    async with client[0].stream("POST", f"{sys.argv[1]}/chat/completions", json=payload) as response:
        async for piece in response.aiter_raw():
            *events, buffer = (buffer + piece).split(b"\n\n")
            for event in events:
                if event == b"data: [DONE]":
                    continue
                choices = json.loads(event[6:])["choices"]
                if choices and (text := choices[0]["delta"].get("content")):
                    texts.append(text)
    return "".join(texts)


if __name__ == "__main__":
    if sys.argv[2:]:
        mcp.run("streamable-http", port=int(sys.argv[2]))
    else:
        mcp.run("stdio")
