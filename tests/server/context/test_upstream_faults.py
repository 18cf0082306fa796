"""Everything an upstream can do wrong (guide reliability-and-security §9.4): the answer comes, and nothing is left."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import anyio
import pytest

from providers.catalog.tokens import encoding
from tests.doubles import ask
from tests.server.context.place import alive, all_gone, configured, material, odd, opened, reads

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="processes are looked up in /proc")]
HEALTHY = "The osprey nests in June."
DEADLINE = 1.5

# What the receipt says of each; None: its text arrives in spite of it.
FAULTS = {
    "exits": "",
    "crashes": "the connection ended",
    "hangs": "did not answer within",
    "never_starts": "did not answer within",
    "floods_first": "",
    "floods_after": "",
    "long_line": "",
    "wrong_id": "did not answer within",
    "wrong_shape": "what MCP does not allow",
    "answers_error": "answered with error -5",
    "endless_pages": "it has no tool read",
    "many_tools": "",
    "destructive": "not read-only",
    "stubborn": None,
    "has_children": None,
    "prints_banners": None,
    "same_cursor": None,
    "remote_ref": None,
    "bad_utf8": None,
    "lone_surrogate": None,
    "asks_to_sample": None,
    "megabytes": None,
}


@pytest.fixture(autouse=True, scope="module")
def _ranks() -> None:
    encoding()  # 50 MB that are no upstream's


def rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_ask_goes_on_with_what_the_others_know(fault: str, tmp_path: Path) -> None:
    servers = {"odd": odd(tmp_path, fault), "good": odd(tmp_path, "healthy", HEALTHY)}
    loaded = configured(tmp_path, servers, reads("odd", "good", timeout_s=DEADLINE))
    peak = before = rss()

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, rss())
            await anyio.sleep(0.01)

    with anyio.fail_after(20):
        async with opened(loaded) as sources, anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            began = time.monotonic()
            told = await sources.add(ask("Tell me.", sources=("odd", "good")))
            took = time.monotonic() - began
            tasks.cancel_scope.cancel()
    assert HEALTHY in material(told)
    assert took < DEADLINE + 1.5  # a loaded machine
    use, good = told.context
    assert (good.server, good.resources, good.warnings) == ("good", ("tool:read",), ())
    expected = FAULTS[fault]
    if expected is None:
        assert use.resources == ("tool:read",) and "ALLOWED" not in material(told)
    else:
        assert use.resources == () and use.tokens == 0
        assert expected in " ".join(use.warnings) and use.warnings
    assert "sk-secret" not in repr(told) and "/etc/passwd" not in repr(told)
    assert peak - before < 100 << 20
    assert await all_gone(tmp_path)


async def test_a_slow_upstream_serves_the_next_ask_though_this_one_did_not_wait(tmp_path: Path) -> None:
    program = "import sys, time; time.sleep(0.7); sys.argv = sys.argv[1:]; exec(open(sys.argv[0]).read())"
    slow = odd(tmp_path)
    slow["args"] = ["-c", program, *slow["args"]]
    loaded = configured(tmp_path, {"slow": slow}, reads("slow", timeout_s=0.2))
    async with opened(loaded) as sources:
        first = await sources.add(ask("?", sources=("slow",)))
        assert first.context[0].warnings == ("it did not answer within 0.2 s",) and not material(first)
        with anyio.fail_after(30):
            while not material(await sources.add(ask("?", sources=("slow",)))):
                await anyio.sleep(0.05)


async def test_an_ask_in_a_hurry_waits_a_quarter_of_its_time_at_most(tmp_path: Path) -> None:
    loaded = configured(tmp_path, {"odd": odd(tmp_path, "hangs")}, reads("odd", timeout_s=30))
    async with opened(loaded) as sources:
        told = await sources.add(ask(sources=("odd",), max_latency_s=0.4))
    assert told.context[0].warnings[-1].endswith("did not answer within 0.1 s")


async def test_a_dead_upstream_comes_back_by_itself(tmp_path: Path) -> None:
    loaded = configured(tmp_path, {"odd": odd(tmp_path)}, reads("odd", more="ttl_s = 0.001"))
    async with opened(loaded) as sources:
        assert material(await sources.add(ask(sources=("odd",))))
        for pid in alive(tmp_path):
            os.kill(pid, signal.SIGKILL)
        with anyio.fail_after(30):
            while True:
                told = await sources.add(ask(sources=("odd",)))
                assert material(told)  # an older copy is used meanwhile
                if not told.context[0].warnings:
                    break
                await anyio.sleep(0.05)
    assert await all_gone(tmp_path)


async def test_children_get_a_depth_and_their_own_entrys_environment_only(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    entry = odd(tmp_path, "environment", env={"OWN": "${GIVEN}"})
    loaded = configured(tmp_path, {"odd": entry}, reads("odd"), {"GIVEN": "yes", "OPENAI_API_KEY": "sk-canary"})
    async with opened(loaded) as sources:
        told = material(await sources.add(ask(sources=("odd",))))
    seen = json.loads(told[told.index("{") : told.rindex("}") + 1])
    assert seen["PLENUM_DEPTH"] == "1" and seen["OWN"] == "yes"
    assert "sk-canary" not in told
