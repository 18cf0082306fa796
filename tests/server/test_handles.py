"""A task's handle leads to its answer, or to why there is none, from another process and after a restart; of a process
that died at it, it says so; and any process can have it ended.
"""

import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lines import META, Talk, request

from server.tools.handles import DIED

ROOT = Path(__file__).parents[2]
SERVE = [sys.executable, "-m", "server", "serve"]
EXTENSION = {"io.modelcontextprotocol/tasks": {}}
EXTENSIONS = {"extensions": EXTENSION}
PANEL = {"prompt": "What is 6*7?", "answer": "number", "models": ["sim/fast", "sim/smart"]}
WITHIN_S = 90.0


class Host:
    """A host that knows tasks, and its own Plenum process over the user's one store."""

    def __init__(self, home: Path) -> None:
        environment = {"PLENUM_HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(home)}
        self.talk, self.number, self.able = Talk(environment, SERVE), 0, EXTENSIONS

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self.number += 1
        meta = {**META, "io.modelcontextprotocol/clientCapabilities": self.able}
        self.talk.send(request(self.number, method, **params, _meta=meta))
        return self.talk.until(self.number)

    def fuse(self, **arguments: Any) -> dict[str, Any]:
        return self.ask("tools/call", name="fuse", arguments=arguments)["result"]

    def task(self, handle: str) -> dict[str, Any]:
        return self.ask("tasks/get", taskId=handle)

    def until(self, handle: str, status: str) -> dict[str, Any]:
        """The task once it stands like this."""
        end = time.monotonic() + WITHIN_S
        while (now := self.task(handle)).get("result", {}).get("status") != status:
            assert time.monotonic() < end, now
            time.sleep(0.05)
        return now["result"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    hosts: list[Host] = []

    def one() -> Host:
        hosts.append(Host(tmp_path))
        return hosts[-1]

    yield one
    for host in hosts:
        host.talk.__exit__()


def test_a_finished_task_answers_from_another_process_and_after_its_own_ended(start) -> None:
    first, second = start(), start()
    handle = first.fuse(**PANEL)["taskId"]
    here = first.until(handle, "completed")["result"]
    there = second.until(handle, "completed")["result"]
    assert there["structuredContent"]["answer"] == here["structuredContent"]["answer"] == "42"
    assert there["structuredContent"]["id"] == here["structuredContent"]["id"] == handle
    assert there["_meta"]["plenum/receipt"]["id"] == handle
    first.talk.process.kill()
    again = second.until(second.fuse(request_id=handle)["taskId"], "completed")["result"]
    assert again["structuredContent"]["id"] == handle
    assert "error" in second.task("t_nobodys")


def test_a_refused_task_says_why_in_another_process_and_after_its_own_ended(start) -> None:
    first, second = start(), start()
    handle = first.fuse(**{**PANEL, "models": ["sim/fast", "sim/smart"], "max_cost_usd": 0})["taskId"]
    here = first.until(handle, "completed")["result"]
    there = second.until(handle, "completed")["result"]
    first.talk.process.kill()
    third = start()
    later = third.until(handle, "completed")["result"]
    for told in (here, there, later):
        assert told["isError"] and told["structuredContent"]["error"]["code"] == "budget_exceeded"
        assert told["structuredContent"]["error"]["message"] == here["structuredContent"]["error"]["message"]
    resumed = third.until(third.fuse(request_id=handle)["taskId"], "completed")["result"]
    assert resumed["structuredContent"]["error"]["code"] == "budget_exceeded"
    decided = third.ask("resources/read", uri=f"plenum://decisions/{handle}")["result"]["contents"][0]["text"]
    assert json.loads(decided)["error"]["code"] == "budget_exceeded"
    assert "error" in third.ask("resources/read", uri=f"plenum://answers/{handle}")


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[socket.socket]:
    """A provider that takes the call and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        (tmp_path / "plenum.toml").write_text(
            f'[providers]\nauto = false\n[providers.alpha]\ndialect = "openai_chat"\nbase_url = "http://127.0.0.1:{listening.getsockname()[1]}/v1"\n'
            'timeout_s = 110\n[[providers.alpha.models]]\nid = "m1"\n[[providers.alpha.models]]\nid = "m2"\n'
        )
        yield listening


SILENT = {**PANEL, "models": ["alpha/m1", "alpha/m2"]}


def test_a_task_is_ended_by_a_process_that_does_not_work_on_it(start, silent) -> None:
    first, second = start(), start()
    handle = first.fuse(**SILENT)["taskId"]
    assert second.until(handle, "working")["taskId"] == handle
    assert "result" in second.ask("tasks/cancel", taskId=handle)
    assert first.until(handle, "cancelled")["taskId"] == handle
    assert second.until(handle, "cancelled")["taskId"] == handle
    assert "result" in second.ask("tasks/cancel", taskId=handle)  # it is over: nothing happens
    assert "error" in second.ask("tasks/cancel", taskId="t_nobodys")
    first.talk.process.kill()
    assert start().until(handle, "cancelled")["taskId"] == handle


def test_a_task_whose_process_died_says_so_to_who_asks_another(start, silent) -> None:
    first, second = start(), start()
    handle = first.fuse(**SILENT)["taskId"]
    assert second.until(handle, "working")["taskId"] == handle
    first.talk.process.kill()
    first.talk.process.wait()
    assert second.until(handle, "failed")["error"]["message"] == DIED


@pytest.mark.parametrize("yes", [True, False])
def test_a_question_that_comes_after_the_handle_is_asked_through_the_task(tmp_path: Path, start, yes: bool) -> None:
    (tmp_path / "plenum.toml").write_text('[security]\nallowed_regions = ["eu"]\n')
    host = start()
    host.able = {**EXTENSIONS, "elicitation": {"form": {}}}
    handle = host.fuse(**PANEL)["taskId"]
    ((key, asked),) = host.until(handle, "input_required")["inputRequests"].items()
    assert "leave them?" in asked["params"]["message"]
    given = {key: {"action": "accept", "content": {"ok": yes}}}
    assert "error" not in host.ask("tasks/update", taskId=handle, inputResponses=given)
    result = host.until(handle, "completed")["result"]
    assert bool(result.get("isError")) is not yes
    assert ("42" if yes else "allowed ones") in json.dumps(result)
