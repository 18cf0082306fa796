"""A task's handle leads to its answer from another process and after a restart; of a process that died at it, it says so."""

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
ABLE = {**META, "io.modelcontextprotocol/clientCapabilities": {"extensions": EXTENSION}}
PANEL = {"prompt": "What is 6*7?", "answer": "number", "models": ["sim/fast", "sim/smart"]}
WITHIN_S = 90.0


class Host:
    """A host that knows tasks, and its own Plenum process over the user's one store."""

    def __init__(self, home: Path) -> None:
        environment = {"PLENUM_HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(home)}
        self.talk, self.number = Talk(environment, SERVE), 0

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self.number += 1
        self.talk.send(request(self.number, method, **params, _meta=ABLE))
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


def test_a_task_whose_process_died_says_so_to_who_asks_another(start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a provider that takes the call and never answers
        (tmp_path / "plenum.toml").write_text(
            f'[providers]\nauto = false\n[providers.alpha]\ndialect = "openai_chat"\nbase_url = "http://127.0.0.1:{silent.getsockname()[1]}/v1"\n'
            'timeout_s = 110\n[[providers.alpha.models]]\nid = "m1"\n[[providers.alpha.models]]\nid = "m2"\n'
        )
        first, second = start(), start()
        handle = first.fuse(**{**PANEL, "models": ["alpha/m1", "alpha/m2"]})["taskId"]
        assert second.until(handle, "working")["taskId"] == handle
        first.talk.process.kill()
        first.talk.process.wait()
        assert second.until(handle, "failed")["error"]["message"] == DIED
