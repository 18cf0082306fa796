"""Streamable HTTP as a hostile and as a friendly client meets it."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from household import served, small_app
from lines import HOUSE, scenario
from wire import ask, modern, post, send, status

from providers.simulator import load_scenario
from server.http.guard import Address
from server.http.heads import Heads
from server.http.serve import bound
from server.http.workers import REST_S, SOCKET_FD, inherited

pytestmark = pytest.mark.anyio
AUTH = {"Authorization": "Bearer secret"}


def slow(seconds: float = 30.0):
    return small_app(load_scenario(json.dumps({"models": {"fast": {"latency_s": seconds}}})))


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_of_either_era_lists_calls_and_sees_progress(mode: str) -> None:
    told = []

    async def progress(value, total, message) -> None:
        told.append(message)

    async with served(small_app()) as port, httpx2.AsyncClient(headers=AUTH) as http:
        wire = streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http)
        async with Client(wire, mode=mode, read_timeout_seconds=20) as client:
            assert [t.name for t in (await client.list_tools()).tools][0] == "generate"
            result = await client.call_tool("generate", {"prompt": "Hello"}, progress_callback=progress)
    assert "sim/fast" in result.content[0].text
    assert told


async def test_the_caller_is_the_token_not_what_the_client_calls_itself() -> None:
    app = small_app()
    async with served(app) as port:
        assert (await post(port, *ask()))[0] == 200
    assert app.manager.asked[0].caller == "tester"


BIG = {"X-Big": "y" * 40_000}
HOSTILE = {
    "no token": ({"Authorization": None}, 401),
    "a wrong token": ({"Authorization": "Bearer wrong"}, 401),
    "another scheme": ({"Authorization": "Basic secret"}, 401),
    "no host": ({"Host": None}, 400),
    "a foreign host": ({"Host": "evil.example"}, 421),
    "a host that only begins like ours": ({"Host": "localhost:1.evil.com"}, 421),
    "our name with another port": ({"Host": "localhost:1"}, 421),
    "a foreign origin": ({"Origin": "https://evil.example"}, 403),
    "the null origin": ({"Origin": "null"}, 403),
    "an origin that only begins like ours": ({"Origin": "http://localhost:1.evil.com"}, 403),
    "an origin with a path": ({"Origin": "http://localhost/x"}, 403),
    "text": ({"Content-Type": "text/plain"}, 400),
    "a type that only begins like JSON": ({"Content-Type": "application/jsonx"}, 415),
    "no accept": ({"Accept": "text/html"}, 406),
    "a head of 40 KB": (BIG, 431),
    "a body announced as endless": ({"Content-Length": str(1 << 30)}, 413),
    "a length and chunks": ({"Transfer-Encoding": "chunked"}, 400),
    "a header that contradicts the body": ({"Mcp-Method": "tools/list"}, 400),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_is_wrong_is_refused_before_any_tool_runs(name: str) -> None:
    headers, expected = HOSTILE[name]
    body, own = ask()
    app = small_app()
    async with served(app) as port:
        found, text = await post(port, body, {**own, **headers}, patience=30)
        assert found == expected, text
        assert (await post(port, *ask()))[0] == 200
    assert app.manager.calls == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"{bad", -32700), (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', None), (b'{"jsonrpc":"2.0","id":1}', None)],
)
async def test_bodies_that_are_no_request_are_bad_requests(body: bytes, code: int | None) -> None:
    async with served(small_app()) as port:
        found, text = await post(port, body, modern("tools/list")[1])
        assert found == 400
        assert code is None or json.loads(text)["error"]["code"] == code


async def test_a_body_above_the_limit_is_refused() -> None:
    async with served(small_app()) as port:
        assert (await post(port, b"x" * (33 << 20), modern("tools/list")[1]))[0] == 413


async def test_other_methods_and_unknown_places_are_not_found() -> None:
    async with served(small_app()) as port:
        host = f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer secret\r\nConnection: close\r\n\r\n".encode()
        modern_get = b"GET /mcp HTTP/1.1\r\nMCP-Protocol-Version: 2026-07-28\r\n"
        assert status(await send(port, modern_get + host)) == 405
        assert status(await send(port, b"GET /nowhere HTTP/1.1\r\n" + host)) == 404


async def test_health_is_open_and_still_asks_for_our_host() -> None:
    async with served(small_app()) as port:
        ours = f"Host: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
        assert status(await send(port, b"GET /healthz HTTP/1.1\r\n" + ours)) == 200
        assert status(await send(port, b"GET /readyz HTTP/1.1\r\n" + ours)) == 200
        theirs = b"Host: evil.example\r\nConnection: close\r\n\r\n"
        assert status(await send(port, b"GET /healthz HTTP/1.1\r\n" + theirs)) == 421


async def test_hosts_and_origins_of_the_configuration_are_let_in() -> None:
    async with served(small_app(), hosts=("plenum.example",), origins=("https://app.example",)) as port:
        body, own = ask()
        assert (await post(port, body, {**own, "Host": "plenum.example", "Origin": "https://app.example"}))[0] == 200


def test_a_wildcard_bind_names_no_host() -> None:
    address = Address.of("0.0.0.0", 80)
    assert address.knows_host("127.0.0.1")
    assert not address.knows_host("0.0.0.0")
    assert Address.of("::1", 8000).knows_host("[::1]:8000")


async def test_hanging_up_stops_the_paid_call() -> None:
    app = slow()
    async with served(app) as port:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(post, port, *ask(), patience=60))
                while not app.manager.calls:
                    await anyio.sleep(0.02)
                tasks.cancel_scope.cancel()
            while not app.manager.cancelled:
                await anyio.sleep(0.02)
    assert (app.manager.calls, app.manager.cancelled) == (1, 1)


async def test_a_head_that_does_not_end_is_cut_and_a_slow_answer_is_not() -> None:
    async with served(slow(1.0), heads=Heads(longest_s=0.4)) as port:
        assert status(await send(port, b"POST /mcp HTTP/1.1\r\nHost: x", patience=30)) == 408
        assert status(await send(port, b"", patience=30)) == 408
        assert (await post(port, *ask()))[0] == 200


async def test_only_unfinished_heads_of_one_peer_are_bounded() -> None:
    heads = Heads(longest_s=30, most=4)
    async with served(slow(0.8), heads=heads) as port:
        async with anyio.create_task_group() as tasks:
            answers = []

            async def finished() -> None:
                answers.append((await post(port, *ask(str(len(answers)) + os.urandom(4).hex())))[0])

            for _ in range(12):  # more calls at once than unfinished heads may be
                tasks.start_soon(finished)
                await anyio.sleep(0.02)
        assert answers == [200] * 12
        idle = [await anyio.connect_tcp("127.0.0.1", port) for _ in range(4)]
        with anyio.fail_after(30):
            while heads.unfinished["127.0.0.1"] < 4:
                await anyio.sleep(0.01)
        assert await send(port, b"GET /healthz HTTP/1.1\r\n", patience=30) == b""
        for stream in idle:
            await stream.aclose()
        with anyio.fail_after(30):
            while heads.unfinished["127.0.0.1"]:
                await anyio.sleep(0.01)
        assert (await post(port, *ask()))[0] == 200


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_signal_lets_the_call_in_flight_finish_and_ends_with_zero(mode: str) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    server = subprocess.Popen([*HOUSE, "http"], env=scenario(fast={"latency_s": 1.0}), **pipes)
    try:
        port = int(server.stdout.readline())
        result, ended = [], []
        async with httpx2.AsyncClient(headers=AUTH, timeout=20) as http:

            async def listen() -> None:
                wire = streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http)
                async with Client(wire) as client, client.listen(resource_subscriptions=["plenum://models"]) as events:
                    async for _ in events:
                        pass
                ended.append(True)

            async def call() -> None:
                wire = streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http)
                async with Client(wire, mode=mode) as client:
                    await client.list_tools()
                    started.set()
                    result.append(await client.call_tool("generate", {"prompt": "Hello"}))

            started = anyio.Event()
            with anyio.fail_after(20):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(listen)
                    tasks.start_soon(call)
                    await started.wait()
                    await anyio.sleep(0.4)
                    server.send_signal(signal.SIGTERM)
        assert "[simulated]" in result[0].content[0].text
        assert ended == [True]
        assert server.wait(6) == 0
        assert b"app closed" in server.stderr.read()
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
        server.stderr.close()


TASKS = {"io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}}


async def test_a_fuse_is_a_task_for_a_client_that_knows_tasks() -> None:
    from test_questions import fusing

    async with served(fusing(0.3)) as port:

        async def task(method: str, id: str) -> dict:
            found, text = await post(port, *modern(method, id, taskId=id, _meta=TASKS))
            return json.loads(text)["result"] if found == 200 else {"status": found}

        arguments = {"name": "fuse", "arguments": {"prompt": "6*7?"}}
        begun = json.loads((await post(port, *modern("tools/call", "fuse", **arguments, _meta=TASKS)))[1])["result"]
        assert (begun["resultType"], begun["status"]) == ("task", "working")
        with anyio.fail_after(30):
            while (now := await task("tasks/get", begun["taskId"]))["status"] == "working":
                await anyio.sleep(0.05)
        assert now["result"]["structuredContent"]["answer"] == "42"
        assert (await task("tasks/get", "unknown"))["status"] == 400


async def test_cancelling_a_task_stops_the_panel() -> None:
    from test_questions import fusing

    app = fusing(30.0)
    async with served(app) as port:
        arguments = {"name": "fuse", "arguments": {"prompt": "6*7?"}}
        begun = json.loads((await post(port, *modern("tools/call", "fuse", **arguments, _meta=TASKS)))[1])["result"]
        await post(port, *modern("tasks/cancel", begun["taskId"], taskId=begun["taskId"], _meta=TASKS))
        with anyio.fail_after(30):
            while not app.manager.cancelled:
                await anyio.sleep(0.01)


def test_of_a_burst_a_process_takes_one_connection_and_leaves_the_next_to_the_others() -> None:
    now = 0.0
    with bound("127.0.0.1", 0) as listening:
        mine = inherited({SOCKET_FD: str(listening.fileno())})
        mine.setblocking(False)
        mine.clock = lambda: now
        with mine, ExitStack() as clients:
            for _ in range(3):
                clients.enter_context(socket.create_connection(listening.getsockname(), timeout=10))
            for _ in range(3):
                clients.enter_context(mine.accept()[0])
                with pytest.raises(BlockingIOError):
                    mine.accept()
                now += REST_S
