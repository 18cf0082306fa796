"""No answer tells a key: not whole, not in pieces, not in drafts, not in thoughts or tool calls, at no door."""

import base64
import json
from pathlib import Path

import anyio
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from providers.types import Answer, Delta, Message, Request, Text, ToolCall
from routing.types import Ask
from server.security.redaction import Redactor, encodings, install
from server.security.veil import Veil, VeiledStream
from tests.server.security.echoing import CONFIG, echoing
from tests.server.security.homes import home

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def hardened(logs_restored):
    """As `main` does first: the redactor of this process."""
    install({})


KEY = "sk-canary-4f6Zq81LxT0pWe77"


def through(text: str, size: int, redactor: Redactor | None = None) -> str:
    veil = Veil(redactor or Redactor([KEY]))
    pieces = [veil(text[at : at + size]) for at in range(0, len(text), size)]
    return "".join(pieces) + veil.rest()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 25, 26, 27, 200])
@pytest.mark.parametrize("form", sorted(encodings(KEY)))
def test_a_key_is_taken_out_however_it_is_written_and_wherever_it_is_cut(form: str, size: int) -> None:
    text = f"it is {form}, and again {form}{form} – sk-canary, sk-can"
    assert through(text, size) == "it is [redacted], and again [redacted][redacted] – sk-canary, sk-can"


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([KEY, KEY[:9], KEY[9:], "s", "sk", " ", "é", KEY[::-1], "[redacted]"]), max_size=12),
    st.data(),
)
def test_text_in_pieces_is_the_text_made_safe_whole(parts: list[str], data) -> None:
    redactor, text = Redactor([KEY]), "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    veil = Veil(redactor)
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert "".join(map(veil, pieces)) + veil.rest() == redactor.known(text)


def test_text_without_keys_comes_as_it_is_and_at_once() -> None:
    veil = Veil(Redactor([KEY]))
    assert [veil(piece) for piece in ("Hello", ", ", "world")] == ["Hello", ", ", "world"]
    assert Veil(Redactor())("anything") == "anything"


class Fake:
    id, model = "r", "p/m"

    def __init__(self, *deltas: Delta, answer: Answer = Answer(), together: bool = False) -> None:
        self.deltas, self.answer, self.together = list(deltas), answer, together

    async def several(self) -> list[Delta]:
        count = len(self.deltas) if self.together else 1
        came, self.deltas = self.deltas[:count], self.deltas[count:]
        return came


async def test_what_comes_together_is_seen_at_once_and_what_is_held_back_holds_nothing_else_back() -> None:
    pieces = [Delta("text", "one "), Delta("text", "two "), Delta("text", KEY[:5]), Delta("text", "!")]
    stream = VeiledStream(Redactor([KEY]), Fake(*pieces[:3], together=True))
    assert await stream.several() == tuple(pieces[:2])  # nobody waits for a next piece before these are shown
    whole = VeiledStream(Redactor([KEY]), Fake(*pieces, together=True))
    assert "".join([delta.text async for delta in whole]) == f"one two {KEY[:5]}!"


@pytest.mark.parametrize("together", [False, True])
async def test_what_was_held_back_comes_before_the_next_kind_and_at_the_end(*, together: bool) -> None:
    deltas = [
        Delta("reasoning", "so sk-"),
        Delta("alive"),
        Delta("text", "x s"),
        Delta("tool", "{}"),
        Delta("text", "sk"),
    ]
    seen = [delta async for delta in VeiledStream(Redactor([KEY]), Fake(*deltas, together=together))]
    assert [d for d in seen if d.kind != "alive"] == [
        Delta("reasoning", "so "),
        Delta("reasoning", "sk-"),
        Delta("text", "x "),
        Delta("text", "s"),
        Delta("tool", "{}"),
        Delta("text", "sk"),
    ]


def test_arguments_on_their_way_end_before_what_may_become_a_key() -> None:
    so_far = Answer(tool_calls=(ToolCall("1", "f", f'{{"a": "{KEY}", "b": "{KEY[:11]}'),))
    stream = VeiledStream(Redactor([KEY]), Fake(answer=so_far))
    assert stream.answer.tool_calls[0].arguments == '{"a": "[redacted]", "b": "'


WRITINGS = {"plain": lambda key: f"it is {key}.", "base64": lambda key: base64.b64encode(key.encode()).decode()}


@pytest.mark.parametrize("writing", WRITINGS)
@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
@pytest.mark.parametrize("stream", [True, False])
async def test_no_door_of_v1_tells_a_key_its_provider_echoes(tmp_path: Path, path, stream, size, writing) -> None:
    kinds = ("reasoning_content", "content", "tool") if stream else ("content",)
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    body = {"model": "echo/m", "stream": stream, "plenum": {"receipt": True}}
    if path.endswith("completions"):
        body |= {"messages": [{"role": "user", "content": "hi"}], "tools": [{"type": "function", "function": tool}]}
    else:
        body |= {"input": "hi", "tools": [tool]}
    write = WRITINGS[writing]
    async with echoing(size, kinds, write) as url, home(tmp_path, CONFIG.format(url=url), ECHO_KEY=KEY) as house:
        status, answer = await house.post(json.dumps(body).encode(), path=path)
    assert status == 200
    said = _said(answer) if stream else answer.decode()
    assert "redacted" in said
    assert not [form for form in encodings(KEY) if form in said or form in answer.decode()]


def _said(answer: bytes) -> str:
    """What a client puts together of a stream: every string under `delta`, `content`, `arguments`, in order."""
    found: list[str] = []

    def walk(value) -> None:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict):
            for name in ("delta", "content", "reasoning_content", "arguments", "tool_calls", "function", "choices"):
                if name in value:
                    walk(value[name])
        elif isinstance(value, list):
            for item in value:
                walk(item)

    for line in answer.decode().splitlines():
        if line.startswith("data: {"):
            walk(json.loads(line[6:]))
    return "".join(found)


@pytest.mark.parametrize("tool", ["generate", "fuse"])
async def test_neither_progress_nor_result_over_mcp_tells_a_key(tmp_path: Path, tool: str) -> None:
    told: list[str] = []

    async def progress(value, total, message) -> None:
        told.append(message or "")

    arguments = {"prompt": "hi", "model": "echo/m"} if tool == "generate" else {"prompt": "hi", "models": ["echo/m"]}
    async with echoing(2) as url, home(tmp_path, CONFIG.format(url=url), ECHO_KEY=KEY) as house:
        async with httpx2.AsyncClient(headers={"Authorization": "Bearer secret"}, timeout=30) as http:
            wire = streamable_http_client(f"http://127.0.0.1:{house.port}/mcp", http_client=http)
            with anyio.fail_after(30):
                async with Client(wire, read_timeout_seconds=30) as client:
                    result = await client.call_tool(tool, arguments, progress_callback=progress)
    whole = "".join(told) + result.model_dump_json()
    assert "[redacted]" in whole and KEY not in whole and KEY[:14] not in whole.replace("\n", "")


async def test_a_brought_key_that_comes_back_in_pieces_is_not_told(tmp_path: Path) -> None:
    brought = "brought-key-77aQ0132xY"
    body = {"model": "echo/m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    async with echoing(4) as url, home(tmp_path, CONFIG.format(url=url)) as house:
        own = {"X-Plenum-Key": f"echo={brought}"}
        _, answer = await house.post(json.dumps(body).encode(), own, path="/v1/chat/completions")
    assert "[redacted]" in _said(answer) and brought not in _said(answer)


async def test_drafts_told_on_the_way_hold_no_key(tmp_path: Path) -> None:
    told: list[str] = []
    async with echoing(5) as url, home(tmp_path, CONFIG.format(url=url), ECHO_KEY=KEY) as house:
        request = Request((Message("user", (Text("hi"),)),), max_tokens=50)
        result = await house.app.manager.generate(Ask(request, model="echo/m"), lambda p: told.append(p.text))
    assert result.answer.text == "your key is [redacted], keep it"
    assert "".join(told) == result.answer.text[: len("".join(told))] and "[redacted]" in "".join(told)
