"""MCP over real pipes, in a process of its own: at its beginning, under bad lines, and at its end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters

sys.path.insert(0, str(Path(__file__).parents[1] / "server"))

from lines import CLIENT, HOUSE, INIT, META, SLOW, Talk, by_id, call, packed, piped, request, scenario

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_real_client_of_either_era_lists_and_calls(mode: str) -> None:
    server = StdioServerParameters(command=HOUSE[0], args=HOUSE[1:], env=dict(os.environ))
    told = []

    async def progress(value: float, total: float | None, message: str | None) -> None:
        told.append((value, message))

    async with Client(server, mode=mode, read_timeout_seconds=30) as client:
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools][0] == "generate"
        result = await client.call_tool("generate", {"prompt": "What is 6*7?"}, progress_callback=progress)
        assert not result.is_error
        text = result.content[0].text
        assert text.startswith("[simulated]")
        assert "\n\n— sim/fast · $" in text
        assert text.endswith("\n")
        assert result.meta["plenum/receipt"]["provider"] == "sim"
    assert told
    assert [value for value, _ in told] == sorted({value for value, _ in told})


def test_everything_asked_before_the_end_of_input_is_answered() -> None:
    env = scenario(fast={"latency_s": 0.3})
    replies = by_id(piped(packed(*INIT, call(2), call(3), request(4, "tools/list")), env))
    assert set(replies) == {"init", 2, 3, 4}
    assert all("result" in reply for reply in replies.values())


def test_a_2026_call_is_answered_after_the_end_of_input() -> None:
    assert "result" in by_id(piped(packed(call(2, modern=True))))[2]


def test_input_and_output_may_be_files(tmp_path: Path) -> None:
    source, sink = tmp_path / "in", tmp_path / "out"
    source.write_bytes(packed(call(1, modern=True), call(2, modern=True)))
    with source.open() as stdin, sink.open("w") as stdout:
        assert subprocess.run(HOUSE, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, timeout=30).returncode == 0
    assert {json.loads(line)["id"] for line in sink.read_text().splitlines()} == {1, 2}


def test_no_input_at_all_ends_well() -> None:
    done = subprocess.run(HOUSE, stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, b"")


BAD = {
    "not JSON": (b"{bad", -32700, None),
    "invalid UTF-8": (b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"x":"\xff"}}', -32700, None),
    "a number of 5000 digits": (b'{"jsonrpc":"2.0","id":' + b"1" * 5000 + b',"method":"ping"}', -32700, None),
    "nesting without end": (b"[" * 100_000 + b"]" * 100_000, -32700, None),
    "NaN": (b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"x":NaN}}', -32700, None),
    "a batch": (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600, None),
    "id null": (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600, None),
    "id true": (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', -32600, None),
    "id 1.5": (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600, None),
    "id an object": (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600, None),
    "no version": (b'{"id":3,"method":"ping"}', -32600, 3),
    "version 1.0": (b'{"jsonrpc":"1.0","id":3,"method":"ping"}', -32600, 3),
    "a method that is a number": (b'{"jsonrpc":"2.0","id":3,"method":7}', -32600, 3),
    "params an array": (b'{"jsonrpc":"2.0","id":3,"method":"ping","params":[1]}', -32600, 3),
    "neither request nor response": (b'{"jsonrpc":"2.0","id":3}', -32600, 3),
    "a text": (b'"hello"', -32600, None),
    "a line above the cap": (b'{"x":"' + b"y" * (9 << 20) + b'"}', -32600, None),
}


def test_every_bad_line_is_answered_and_the_connection_lives() -> None:
    with Talk() as talk:
        for name, (line, code, id) in BAD.items():
            talk.send(line + b"\n")
            reply = talk.read()
            assert (reply["error"]["code"], reply["id"]) == (code, id), name
        talk.send(*INIT, call(9))
        assert "result" in talk.until(9)


def test_a_lone_surrogate_in_a_prompt_is_replaced_and_answered() -> None:
    line = b'{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"generate","arguments":{"prompt":"a\\ud83d b","model":"sim/echo"}}}\n'
    with Talk() as talk:
        talk.send(*INIT, line)
        assert "a\ufffd b" in talk.until(2)["result"]["content"][0]["text"]


def test_a_lone_surrogate_from_a_model_ends_nothing() -> None:
    env = scenario(fast={"answers": ["half \ud83d pair"]})
    with Talk(env) as talk:
        talk.send(*INIT, call(2), call(3, format="json"))
        assert "half \ufffd pair" in talk.until(2)["result"]["content"][0]["text"]
        assert talk.until(3)["result"]["structuredContent"]["answer"] == "half \ufffd pair"


def test_a_number_beyond_all_floats_is_a_wrong_argument() -> None:
    line = packed(call(2, temperature=7777)).replace(b"7777", b"1e400")
    reply = by_id(piped(packed(*INIT) + line))[2]["result"]
    assert reply["structuredContent"]["error"]["code"] == "invalid_request"


def test_crlf_and_blank_lines_are_fine() -> None:
    lines = packed(*INIT, request(2, "ping")).replace(b"\n", b"\r\n\r\n")
    assert set(by_id(piped(b"\r\n\n" + lines + json.dumps(request(9, "ping")).encode()))) == {"init", 2, 9}


def test_the_second_of_two_requests_with_one_id_is_refused() -> None:
    env = scenario(fast={"latency_s": 0.5})
    replies = [r for r in piped(packed(*INIT, call(2), call(2)), env) if r.get("id") == 2]
    assert sorted("error" in reply for reply in replies) == [False, True]
    assert next(r for r in replies if "error" in r)["error"]["code"] == -32600


def test_calls_above_the_bound_are_refused_with_a_hint_and_lists_still_served() -> None:
    with Talk(SLOW) as talk:
        talk.send(*INIT, *(call(n, f"number {n}") for n in range(1, 67)))
        refused = [talk.until(65), talk.until(66)]
        assert all(r["error"]["data"]["retry_after_s"] > 0 for r in refused)
        talk.send(request("list", "tools/list"))
        assert "result" in talk.until("list")


def test_a_prompt_of_three_megabytes_comes_through() -> None:
    reply = by_id(piped(packed(*INIT, call(2, "x" * (3 << 20)))))[2]
    assert not reply["result"].get("isError")


def test_a_handshake_of_2024_is_answered() -> None:
    old = {**INIT[0], "params": {**CLIENT, "protocolVersion": "2024-11-05"}}
    assert by_id(piped(packed(old, INIT[1], request(2, "tools/list"))))[2]["result"]["tools"]


def test_an_unknown_method_and_a_call_before_the_handshake_are_errors() -> None:
    replies = by_id(piped(packed(call(1), *INIT, request(5, "no/such"))))
    assert replies[1]["error"]["code"] == -32602
    assert replies[5]["error"]["code"] == -32601


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("busy", [False, True])
def test_a_signal_settles_everything_and_ends_with_zero(sig: signal.Signals, *, busy: bool) -> None:
    with Talk(SLOW) as talk:
        talk.send(*INIT, request("warm", "tools/call", name="list_models", arguments={}))
        talk.until("warm")
        if busy:
            meta = {"_meta": {"progressToken": "t"}}
            talk.send(request(2, "tools/call", name="generate", arguments={"prompt": "x"}, **meta))
            while talk.read().get("method") != "notifications/progress":
                pass
        began = time.monotonic()
        talk.process.send_signal(sig)
        status, log = talk.ends()
    assert status == 0, log
    assert time.monotonic() - began < 5
    assert "app closed" in log
    assert ("closed by cancellation" in log) is busy


def test_a_client_that_vanishes_stops_paid_work() -> None:
    with Talk(SLOW) as talk:
        talk.send(*INIT, request("warm", "tools/call", name="list_models", arguments={}), call(2))
        talk.until("warm")
        talk.process.stdin.close()
        talk.process.stdout.close()
        status, log = talk.process.wait(6), talk.process.stderr.read().decode()
    assert status == 0
    assert "closed by cancellation" in log
    assert "app closed" in log


def test_an_output_closed_while_the_input_stays_open_ends_the_server() -> None:
    with Talk(SLOW) as talk:
        talk.send(*INIT, call(2))
        talk.until("init")
        talk.process.stdout.close()
        assert talk.process.wait(6) == 0


def test_a_client_that_does_not_read_cannot_break_a_line_nor_hold_the_end() -> None:
    with Talk() as talk:
        talk.send(call(1, "y " * 300_000, modern=True, model="sim/echo"))
        talk.send(b"{bad\n" * 5)
        talk.process.stdin.close()
        whole = [json.loads(line) for line in talk.process.stdout.read().splitlines()]
        assert len(whole) == 6
        assert talk.process.wait(6) == 0
    with Talk() as talk:
        talk.send(call(1, "y " * 300_000, modern=True, model="sim/echo"), call(2, "x", modern=True))
        talk.process.stdout.readline(10)
        talk.process.send_signal(signal.SIGTERM)
        assert talk.ends()[0] == 0


def test_cancelling_reaches_the_provider_and_the_id_may_be_used_again() -> None:
    with Talk(scenario(slow={"latency_s": 30.0})) as talk:
        meta = {"_meta": {"progressToken": "t"}}
        slow = {"prompt": "x", "model": "sim/slow"}
        talk.send(*INIT, request(2, "tools/call", name="generate", arguments=slow, **meta))
        while talk.read().get("method") != "notifications/progress":
            pass
        talk.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}})
        talk.send(call(2, "again"))
        assert "result" in talk.until(2)
        talk.process.stdin.close()
        status, log = talk.process.wait(6), talk.process.stderr.read().decode()
    assert (status, log.count("closed by cancellation")) == (0, 1)


def test_a_print_in_the_server_stays_off_the_wire() -> None:
    code = (
        "import sys, anyio; sys.path.insert(0, sys.argv[1])\n"
        "from household import small_app, opener_of\n"
        "from server.serve import serve_stdio\n"
        "app = small_app(); found = app.directory.deployments\n"
        "app.directory.deployments = lambda: (print('stray'), found())[1]\n"
        "anyio.run(serve_stdio, opener_of(app))\n"
    )
    command = [sys.executable, "-c", code, str(Path(HOUSE[1]).parent)]
    listing = request(1, "tools/call", name="list_models", arguments={}, _meta=META)
    held = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}  # as hosts start us
    done = subprocess.run(command, input=packed(listing), capture_output=True, timeout=30, env=held)
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1]
    assert b"stray" in done.stderr
