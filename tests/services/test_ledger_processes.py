"""Several processes on one file behave as one: one budget, nobody starved, two hosts and one of them refused."""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import quantiles

from tests.routing.money import rows
from tests.server.lines import INIT, Talk, request

ROOT = Path(__file__).parents[2]


def together(path: Path, *commands: list[str]) -> list[dict]:
    """Start one racer per command, let all go at once, collect what they say."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    racer = [sys.executable, "-m", "tests.services.racer", str(path)]
    processes = [subprocess.Popen([*racer, *command], **pipes) for command in commands]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    return [json.loads(process.communicate(timeout=120)[0]) for process in processes]


def test_four_processes_racing_for_one_budget_get_exactly_what_it_holds(tmp_path: Path):
    path = tmp_path / "p.db"
    found = together(path, *[["race", f"p{n}", "0.5"] for n in range(4)])
    assert sum(one["granted"] for one in found) == 500
    assert sum(one["refused"] for one in found) == 4 * 1000 - 500
    assert rows(path, "SELECT spent, held FROM budget") == [(500_000_000, 0)]
    assert rows(path, "SELECT count(*), sum(cost) FROM attempt") == [(500, 500_000_000)]


def test_four_processes_at_two_hundred_calls_a_second_wait_little_for_a_reservation(tmp_path: Path):
    found = together(tmp_path / "p.db", *[["pace", f"p{n}", "50", "4"] for n in range(4)])
    waits = sorted(wait for one in found for wait in one["waits"])
    assert len(waits) == 800
    assert quantiles(waits, n=100)[98] < 0.25  # the bench measures the target of 50 ms on a quiet machine


def test_two_hosts_share_one_budget_and_one_of_them_is_refused(tmp_path: Path):
    env = os.environ | {
        "PLENUM_STORE_URL": f"sqlite:///{tmp_path}/p.db",
        "PLENUM_BUDGET_DAILY_USD": "0.001",
        "PLENUM_CONFIG": str(tmp_path / "plenum.toml"),
        "HOME": str(tmp_path),
    }
    (tmp_path / "plenum.toml").write_text("")
    serve = [sys.executable, "-m", "server", "serve", "--demo"]
    ask = {"prompt": "Hello", "model": "sim/fast", "max_tokens": 150}
    replies = []
    with Talk(env, serve) as one, Talk(env, serve) as two:
        for host in (one, two):
            host.send(*INIT)
            host.until("init")
        for n in range(60):
            for host in (one, two):
                host.send(
                    request(n, "tools/call", name="generate", arguments=ask | {"prompt": f"Hello {n} {id(host)}"})
                )
                replies.append(host.until(n)["result"])
            if replies[-1].get("isError") or replies[-2].get("isError"):
                break
        two.send(request("sum", "tools/call", name="costs", arguments={"period": "today"}))
        report = two.until("sum")["result"]["structuredContent"]
    answered = [reply for reply in replies if not reply.get("isError")]
    refused = [reply for reply in replies if reply.get("isError")]
    assert refused
    assert refused[0]["structuredContent"]["error"]["code"] == "budget_exceeded"
    assert len(answered) >= 2
    (budget,) = report["budgets"]
    assert budget["spent_usd"] <= budget["limit_usd"] == 0.001
    paid = [reply["_meta"]["plenum/receipt"]["cost_usd"] for reply in answered]
    assert abs(sum(paid) - budget["spent_usd"]) < 1e-8
    assert report["calls"] == len(answered)


def test_a_ledger_that_cannot_be_used_is_said_in_every_answer_and_by_its_next_step(tmp_path: Path):
    (tmp_path / "p.db").write_text("no database at all, just words " * 200)
    env = os.environ | {"PLENUM_STORE_URL": f"sqlite:///{tmp_path}/p.db", "PLENUM_HOME": str(tmp_path)}
    with Talk(env, [sys.executable, "-m", "server", "serve", "--demo"]) as host:
        host.send(*INIT, request(1, "tools/call", name="generate", arguments={"prompt": "x", "model": "sim/fast"}))
        reply = host.until(1)["result"]
    error = reply["structuredContent"]["error"]
    assert reply["isError"] and error["code"] == "configuration"
    assert "ledger is damaged" in error["message"] and "backup" in error["hint"]
    assert str(tmp_path) not in json.dumps(reply)
