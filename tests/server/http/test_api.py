"""`/api`: what the dashboard reads, over the composed house and its real ledger."""

import json
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from wire import ask, post, send, status

from server.app import opener
from server.config.load import Folders
from server.config.world import World
from server.http import serve

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def house(folder: Path, tokens=(("tester", "secret"), ("other", "quiet")), verifier=None):
    """The whole composed house, simulated providers, in this process; gives its port."""
    import anyio

    here = World({}, folder, Folders(folder, folder))
    listening = serve.bound("127.0.0.1", 0)
    port = listening.getsockname()[1]
    server = serve.polite(opener(here, demo=True), serve.Listen("127.0.0.1", port, tokens), verifier)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listening])
        while not server.started:
            await anyio.sleep(0.01)
        try:
            yield port
        finally:
            server.should_exit = True


async def read(port: int, path: str, token: str = "secret", **headers) -> tuple[int, dict]:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n{lines}\r\n"
    answer = await send(port, head.encode())
    body = answer.partition(b"\r\n\r\n")[2]
    return status(answer), json.loads(body)


async def test_spending_is_told_with_its_groups(tmp_path: Path) -> None:
    async with house(tmp_path) as port:
        assert (await post(port, *ask(model="sim/fast")))[0] == 200
        found, costs = await read(port, "/api/costs?period=today&group_by=model")
        assert found == 200
        assert costs["calls"] == 1
        assert costs["groups"][0]["key"] == "sim/fast"
        assert [group["key"] for group in costs["by"]["caller"]] == ["tester"]
        assert len(costs["by"]["day"]) == 1
        assert costs["budgets"][0]["limit_usd"] == 10


async def test_health_and_status_tell_how_things_stand(tmp_path: Path) -> None:
    async with house(tmp_path) as port:
        assert (await post(port, *ask(model="sim/fast")))[0] == 200
        _, health = await read(port, "/api/health")
        sim = next(p for p in health["providers"] if p["provider"] == "sim")
        assert sim["status"] == "healthy"
        assert [m["id"] for m in health["models"]] == ["sim/fast"]
        _, state = await read(port, "/api/status")
        assert state["usable"] > 0
        assert state["fault"] is False


async def test_a_caller_sees_its_own_decisions_only(tmp_path: Path) -> None:
    async with house(tmp_path) as port:
        assert (await post(port, *ask(model="sim/fast")))[0] == 200
        _, own = await read(port, "/api/decisions")
        _, others = await read(port, "/api/decisions", "quiet")
        assert [d["model"] for d in own["decisions"]] == ["fast"]
        assert own["decisions"][0]["caller"] == "tester"
        assert others["decisions"] == []


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/api/costs?period=century", "period"),
        ("/api/costs?from=2026-13-45", "from"),
        ("/api/costs?from=2026-11-20&to=2026-11-01", "later"),
        ("/api/costs?colour=red", "colour"),
        ("/api/decisions?limit=0", "limit"),
        ("/api/decisions?limit=x", "limit"),
    ],
)
async def test_what_is_asked_wrongly_is_refused_with_what_is_wrong(tmp_path: Path, path: str, named: str) -> None:
    async with house(tmp_path) as port:
        found, body = await read(port, path)
        assert found == 400
        assert body["error"]["code"] == "invalid_request"
        assert named in body["error"]["message"]


async def test_every_door_wants_a_token(tmp_path: Path) -> None:
    async with house(tmp_path) as port:
        for name in ("costs", "health", "decisions", "status"):
            assert (await read(port, f"/api/{name}", "wrong"))[0] == 401


async def test_breakers_are_reset_by_name(tmp_path: Path) -> None:
    async with house(tmp_path) as port:
        assert (await post(port, *ask(model="relay")))[0] == 200
        found, body = await post(port, b'{"name": "sim-west"}', path="/api/breakers")
        assert (found, json.loads(body)["reset"]) == (200, 1)
        assert (await post(port, b"[1]", path="/api/breakers"))[0] == 400
        assert (await post(port, b"{", path="/api/breakers"))[0] == 400
