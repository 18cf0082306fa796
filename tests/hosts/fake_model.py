"""A model on loopback that real hosts are pointed at: it calls the tools it was told to, and remembers all it was sent.

It speaks Anthropic Messages, OpenAI Responses and Gemini. How far its script has come is counted by the tool results in
the conversation, so that a host's side requests (titles, summaries) change nothing.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DONE = "DONE"


@dataclass(frozen=True)
class Step:
    """A call the model makes. `tool` is the end of the name under which the host offers it."""

    tool: str
    arguments: dict[str, Any]


@dataclass
class Turn:
    """One request as it came: the tools offered, the results so far, and everything."""

    tools: dict[str, dict[str, Any]]
    results: list[Any]
    body: dict[str, Any]


@dataclass
class FakeModel:
    """Enter to serve. `turns` are the requests that offered tools, oldest first."""

    script: Sequence[Step]
    turns: list[Turn] = field(default_factory=list)

    def __enter__(self) -> "FakeModel":
        handler = type("Handler", (_Handler,), {"model": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def first(self) -> Turn:
        """The turn in which the model sees its tools for the first time."""
        return self.turns[0]

    @property
    def results(self) -> list[Any]:
        """What the model was shown as the result of each step."""
        return max((turn.results for turn in self.turns), key=len)

    def step(self, turn: Turn) -> tuple[str, dict[str, Any], dict[str, Any]] | None:
        """The call to make now: the offered name, how it was offered, the arguments."""
        if turn.tools:
            self.turns.append(turn)
        if len(turn.results) >= len(self.script):
            return None
        wanted = self.script[len(turn.results)]
        name = next((name for name in turn.tools if name.endswith(wanted.tool)), None)
        return None if name is None else (name, turn.tools[name], wanted.arguments)


class _Handler(BaseHTTPRequestHandler):
    model: FakeModel
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Silence."""

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        self._json({"data": [], "models": []})

    def do_HEAD(self) -> None:  # noqa: N802 - http.server's name
        self._send(b"", "text/plain")

    def do_POST(self) -> None:  # noqa: N802 - http.server's name
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        path = self.path.partition("?")[0]
        if path.endswith(("/count_tokens", ":countTokens")):
            self._json({"input_tokens": 10, "totalTokens": 10})
        elif path.endswith("/messages"):
            self._stream(anthropic(self.model, body), body)
        elif path.endswith("/responses"):
            self._stream(responses(self.model, body), body)
        elif path.endswith(":streamGenerateContent"):
            self._stream(((None, event) for event in gemini(self.model, body)), {"stream": True})
        elif path.endswith(":generateContent"):
            self._json(next(gemini(self.model, body)))
        else:
            self._json({})

    def _stream(self, events: Iterator[tuple[str | None, dict[str, Any]]], body: dict[str, Any]) -> None:
        if not body.get("stream"):
            self._json(whole(list(events)))
            return
        lines = "".join(
            f"event: {n}\ndata: {json.dumps(d)}\n\n" if n else f"data: {json.dumps(d)}\n\n" for n, d in events
        )
        self._send(lines.encode(), "text/event-stream")

    def _json(self, value: Any) -> None:
        self._send(json.dumps(value).encode(), "application/json")

    def _send(self, data: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def whole(events: list[tuple[str | None, dict[str, Any]]]) -> dict[str, Any]:
    """A side request that wants no stream: a word, as an Anthropic message."""
    message = events[0][1].get("message", {})
    return {**message, "content": [{"type": "text", "text": DONE}], "stop_reason": "end_turn"}


def anthropic(model: FakeModel, body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Messages, as events of a stream."""
    parts = [p for m in body["messages"] if isinstance(m["content"], list) for p in m["content"]]
    results = [part for part in parts if part.get("type") == "tool_result"]
    turn = Turn({tool["name"]: tool for tool in body.get("tools", [])}, results, body)
    call = model.step(turn)
    usage = {"input_tokens": 10, "output_tokens": 5}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": []}
    yield (
        "message_start",
        {
            "type": "message_start",
            "message": {**message, "stop_reason": None, "stop_sequence": None, "usage": usage},
        },
    )
    if call is None:
        block, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": DONE}
    else:
        name, _, arguments = call
        block = {"type": "tool_use", "id": f"toolu_{len(results)}", "name": name, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(arguments)}
    yield "content_block_start", {"type": "content_block_start", "index": 0, "content_block": block}
    yield "content_block_delta", {"type": "content_block_delta", "index": 0, "delta": delta}
    yield "content_block_stop", {"type": "content_block_stop", "index": 0}
    end = {"stop_reason": "tool_use" if call else "end_turn", "stop_sequence": None}
    yield "message_delta", {"type": "message_delta", "delta": end, "usage": usage}
    yield "message_stop", {"type": "message_stop"}


def responses(model: FakeModel, body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Responses, as events of a stream. MCP tools stand inside an entry of type `namespace`, which a call names."""
    offered: dict[str, dict[str, Any]] = {}
    for tool in body.get("tools", []):
        inner = tool.get("tools", []) if tool.get("type") == "namespace" else [tool]
        for one in inner:
            space = {"namespace": tool["name"]} if tool.get("type") == "namespace" else {}
            offered[one.get("name", "")] = {**one, **space}
    results = [item for item in body["input"] if item.get("type") == "function_call_output"]
    call = model.step(Turn(offered, results, body))
    if call is None:
        content = [{"type": "output_text", "text": DONE, "annotations": []}]
        item: dict[str, Any] = {"type": "message", "role": "assistant", "id": "m1", "content": content}
    else:
        name, tool, arguments = call
        item = {"type": "function_call", "id": f"f{len(results)}", "call_id": f"c{len(results)}", "name": name}
        item |= {"arguments": json.dumps(arguments)}
        item |= {"namespace": tool["namespace"]} if "namespace" in tool else {}
    yield "response.created", {"type": "response.created", "response": {"id": "r1"}}
    yield "response.output_item.done", {"type": "response.output_item.done", "output_index": 0, "item": item}
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    usage |= {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    yield (
        "response.completed",
        {"type": "response.completed", "response": {"id": "r1", "usage": usage, "output": [item]}},
    )


def gemini(model: FakeModel, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Gemini, one event."""
    offered = {one["name"]: one for tool in body.get("tools", []) for one in tool.get("functionDeclarations", [])}
    parts = [part for content in body["contents"] for part in content.get("parts", [])]
    results = [part["functionResponse"] for part in parts if "functionResponse" in part]
    call = model.step(Turn(offered, results, body))
    part = {"text": DONE} if call is None else {"functionCall": {"name": call[0], "args": call[2]}}
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
    yield {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "fake"}
