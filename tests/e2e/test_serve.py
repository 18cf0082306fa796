"""`plenum serve` as a user starts it: over HTTP with several workers, and for a very long time."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ElicitResult

sys.path.insert(0, str(Path(__file__).parents[1] / "server"))
sys.path.insert(0, str(Path(__file__).parents[1] / "conformance"))

import node
from lines import HOUSE, INIT, Talk, call

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
SERVE = [sys.executable, "-m", "server", "serve"]


def world(home: Path) -> dict[str, str]:
    return {**os.environ, "PLENUM_HOME": str(home), "PLENUM_TOKEN": "secret", "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_workers_share_a_port_and_what_one_asked_another_takes_up(mode: str, tmp_path: Path) -> None:
    command = [*SERVE, "--http", "127.0.0.1:0", "--workers", "2", "--demo"]
    server = subprocess.Popen(command, env=world(tmp_path), stderr=subprocess.PIPE, text=True)
    try:
        url = server.stderr.readline().split(" at ")[1].strip()
        answered_by(url.split("/")[2])  # the SDK takes a server that is silent for 10 s for an old one
        outcomes = []

        async def yes(ctx, params) -> ElicitResult:
            return ElicitResult(action="accept", content={"ok": True})

        async def one() -> None:
            limits = httpx2.Limits(max_keepalive_connections=0)  # each request may meet another worker
            async with httpx2.AsyncClient(
                headers={"Authorization": "Bearer secret"}, limits=limits, timeout=60
            ) as http:
                wire = streamable_http_client(url, http_client=http)
                async with Client(wire, mode=mode, elicitation_callback=yes, read_timeout_seconds=60) as client:
                    model = "sim/fst" if mode == "auto" else "sim/fast"
                    result = await client.call_tool("generate", {"prompt": "What is 6*7?", "model": model})
                    outcomes.append("ok" if not result.is_error else result.content[0].text)

        with anyio.fail_after(120):
            async with anyio.create_task_group() as tasks:
                for _ in range(6):
                    tasks.start_soon(one)
        assert outcomes == ["ok"] * 6
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0
    finally:
        server.kill()
        server.wait()
        server.stderr.close()


def test_workers_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    """The socket is the witness: once supervisor and workers are gone, nobody listens on the port."""
    command = [*SERVE, "--http", "127.0.0.1:0", "--workers", "2", "--demo"]
    server = subprocess.Popen(command, env=world(tmp_path), stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        address = server.stderr.readline().split("//")[1].split("/")[0]
        answered_by(address)
        server.kill()
        server.wait()
        until = time.monotonic() + 50
        while heard(address):
            assert time.monotonic() < until, "a worker still holds the port"
            time.sleep(0.05)
    finally:
        with contextlib.suppress(ProcessLookupError):  # as it should be
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        server.stderr.close()


def test_the_dashboards_link_opens_once_whichever_worker_gets_it(tmp_path: Path) -> None:
    command = [*SERVE, "--http", "127.0.0.1:0", "--workers", "3", "--demo"]
    server = subprocess.Popen(command, env=world(tmp_path), stderr=subprocess.PIPE, text=True)
    try:
        server.stderr.readline()
        link = server.stderr.readline().split("once: ")[1].strip()
        page = link.partition("?")[0]
        opened = httpx2.get(link, timeout=50)
        assert opened.status_code == 200
        cookie = {"Cookie": opened.headers["set-cookie"].partition(";")[0]}
        for _ in range(8):  # each a new connection: the kernel picks the worker
            assert httpx2.get(link, timeout=50).status_code == 401
            assert httpx2.get(page, headers=cookie, timeout=50).status_code == 200
            assert httpx2.get(f"{page}api/status", headers=cookie, timeout=50).status_code == 200
        assert httpx2.get(page, headers={"Cookie": "plenum=guess"}, timeout=50).status_code == 401
        server.send_signal(signal.SIGTERM)
        assert server.wait(50) == 0
    finally:
        server.kill()
        server.wait()
        server.stderr.close()


def answered_by(address: str) -> None:
    """Wait until a worker serves."""
    assert httpx2.get(f"http://{address}/healthz", timeout=50).status_code == 200


def heard(address: str) -> bool:
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return False
    return True


def test_off_loopback_without_tokens_it_does_not_start(tmp_path: Path) -> None:
    environment = {k: v for k, v in world(tmp_path).items() if k != "PLENUM_TOKEN"}
    done = subprocess.run([*SERVE, "--http", "0.0.0.0:0"], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "tokens" in done.stderr


def test_a_wrong_configuration_still_serves_and_every_tool_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "plenum.toml").write_text("[budget]\ndaly_usd = 1\n")
    with Talk(world(tmp_path), SERVE) as talk:
        talk.send(*INIT, call(2))
        error = talk.until(2)["result"]["structuredContent"]["error"]
    assert error["code"] == "configuration"
    assert "plenum config check" in error["hint"]


@pytest.mark.soak
def test_twenty_thousand_calls_leave_memory_and_descriptors_as_they_were() -> None:
    def resident(pid: int) -> int:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 10

    with Talk(command=HOUSE) as talk:
        talk._watchdog.cancel()
        pid, number = talk.process.pid, 0
        talk.send(*INIT)

        def run(calls: int) -> None:
            nonlocal number
            for _ in range(calls // 20):
                ids = range(number, number + 20)
                talk.send(*(call(id, f"number {id}") for id in ids))
                number += 20
                for id in ids:
                    assert not talk.until(id)["result"].get("isError")

        run(2_000)
        before, open_before = resident(pid), len(os.listdir(f"/proc/{pid}/fd"))
        run(20_000)
        assert resident(pid) - before < 8 << 10, "KiB"
        assert len(os.listdir(f"/proc/{pid}/fd")) == open_before


@pytest.mark.soak
@pytest.mark.parametrize("era", ["legacy", "auto", "modern"])
def test_the_inspector_lists_strictly_and_calls(era: str, tmp_path: Path) -> None:
    try:
        folder = node.package("@modelcontextprotocol/inspector")
    except node.Unreachable as why:
        pytest.skip(str(why))
    script = folder / json.loads((folder / "package.json").read_text())["bin"]["mcp-inspector"]
    environment = {**world(tmp_path), "PATH": f"{node.node().parent}:{os.environ['PATH']}"}

    def inspect(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(node.node()), str(script), "--cli", *SERVE, "--demo", "--protocol-era", era, *arguments]
        return subprocess.run(
            [*command, "--format", "json", "-q"], capture_output=True, text=True, env=environment, timeout=120
        )

    listed = inspect("--method", "tools/list", "--strict")
    assert listed.returncode == 0, listed.stdout + listed.stderr
    called = inspect("--method", "tools/call", "--tool-name", "generate", "--tool-arg", "prompt=hello")
    assert called.returncode == 0, called.stdout + called.stderr
    assert "[simulated]" in called.stdout


def test_the_first_list_does_not_wait_for_the_house(tmp_path: Path) -> None:
    code = (
        "import sys, server.serve as s, server.face, server.house, server.mcp.stdio\n"
        "heavy = {'apsw','httpx','aiohttp','tiktoken','numpy','typer','keyring','jsonschema','genai_prices',"
        "'prometheus_client','rapidfuzz','cryptography.fernet','server.app','server.compose','routing.manager'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.soak
def test_the_typescript_client_lists_calls_and_cancels_in_both_eras(tmp_path: Path) -> None:
    try:
        folder = node.package("@modelcontextprotocol/client")
    except node.Unreachable as why:
        pytest.skip(str(why))
    script = folder.parents[2] / "typescript_client.mjs"  # node resolves imports from the script's own folder
    script.write_text((ROOT / "tests/conformance/typescript_client.mjs").read_text())
    command = [str(node.node()), str(script), *SERVE, "--demo"]
    done = subprocess.run(command, capture_output=True, text=True, env=world(tmp_path), timeout=120)
    assert done.returncode == 0, done.stderr
    seen = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["mode"] for each in seen] == ["auto", "legacy"]
    for each in seen:
        assert each["tools"][0] == "generate"
        assert "[simulated]" in each["text"]
        assert (each["error"], each["aborted"]) == (False, True)
        assert each["told"] >= 1
