"""`plenum batch` as a shell runs it: a process of its own, a provider over real HTTP, and kill -9 at the worst moments."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx
import pytest

from providers.simulator import Scenario
from providers.simulator.server import serve
from tests.e2e.test_every_dialect import PROVIDER, ROOT, host
from tests.routing.money import rows

pytestmark = pytest.mark.anyio
LINES = 6
MANY = 400
CONFIG = "[providers]\nauto = false\n[budget]\ndaily_usd = 100.0\n" + PROVIDER.replace(
    'api_key = "sk-test-canary"', 'api_key = "sk-test-canary"\nbatch = "openai"'
)


class Gate:
    """The simulator's sleep: of its replies about batches, the one with this number never leaves."""

    def __init__(self, number: int = 0) -> None:
        self.held = anyio.Event()
        self._left = number

    async def __call__(self, seconds: float) -> None:
        self._left -= 1
        if self._left == 0:
            self.held.set()
            await anyio.sleep_forever()
        await anyio.sleep(seconds)


class Shell:
    """A folder with a batch file, where the command is run."""

    def __init__(self, folder: Path, base: str, lines: int = LINES) -> None:
        self.folder, self.base = folder, base
        (folder / "plenum.toml").write_text(
            CONFIG.format(name="one", dialect="openai_chat", base=f"{base}/openai/v1", priority=1)
        )
        asked = [{"prompt": f"What is {n}+1?", "id": f"q{n}", "model": "one/fast"} for n in range(1, lines + 1)]
        (folder / "in.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in asked))

    @property
    def out(self) -> Path:
        return self.folder / "out.jsonl"

    async def begun(self, *words: str) -> anyio.abc.Process:
        keep = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG")}
        env = {**keep, "PYTHONPATH": str(ROOT), "PLENUM_HOME": str(self.folder)}
        command = [sys.executable, "-m", "server", *words]
        return await anyio.open_process(command, env=env, cwd=self.folder, stdin=subprocess.DEVNULL)

    async def run(self, *words: str) -> tuple[int, str, str]:
        """Status, stdout, stderr."""
        async with await self.begun(*words) as process:
            said = ["", ""]

            async def read(index: int, stream: Any) -> None:
                said[index] = b"".join([piece async for piece in stream]).decode()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read, 0, process.stdout)
                tasks.start_soon(read, 1, process.stderr)
            return await process.wait(), *said

    async def batch(self, *words: str) -> tuple[int, str, str]:
        return await self.run("batch", "in.jsonl", "--provider-batch", *words)

    async def killed(self, when: anyio.Event) -> None:
        async with await self.begun("batch", "in.jsonl", "--provider-batch", "-o", "out.jsonl") as process:
            await when.wait()
            process.kill()

    def told(self) -> Sequence[Mapping[str, Any]]:
        return [json.loads(line) for line in self.out.read_text().splitlines()]

    def aged(self) -> str:
        """The last step on record, made a minute older: a request on its way has arrived by then, or never will."""
        (record,) = (self.folder / "batches").iterdir()
        *steps, last = [json.loads(line) for line in record.read_text().splitlines()]
        steps.append({**last, "at": last["at"] - 61})
        record.write_text("".join(f"{json.dumps(step)}\n" for step in steps))
        return last["state"]

    async def handed_in(self) -> int:
        async with httpx.AsyncClient() as http:
            log = (await http.get(f"{self.base}/_log")).json()
        return sum((one["method"], one["path"]) == ("POST", "/openai/v1/batches") for one in log)

    async def answered_once(self, lines: int = LINES) -> None:
        """Every line once in the output, once at the provider, once in the ledger; nothing is held any more."""
        told = self.told()
        assert sorted(one["line"] for one in told) == list(range(1, lines + 1))
        assert all(one["answer"].endswith(f" {one['line'] + 1}.") for one in told)
        assert await self.handed_in() == 1
        attempts = rows(self.folder / "plenum.db", "SELECT state, count(*), sum(cost) FROM attempt GROUP BY 1")
        (settled,) = [row for row in attempts if row[0] != 2]
        assert settled[:2] == (1, lines), attempts
        assert sum(one["cost_usd"] for one in told) == pytest.approx(settled[2] / 1e9) and settled[2] > 0
        assert rows(self.folder / "plenum.db", "SELECT spent, held FROM budget WHERE scope = 'global'") == [
            (settled[2], 0)
        ]


# The replies in their order: the file was uploaded, the batch was made, it has ended, where its results are, the results.
# Which of them does not come, after how long the batch ends, and then: batches handed in, the state that was noted.
MOMENTS = {
    "before it was handed in": (1, 0.0, (0, "sending")),
    "handed in, before that was noted": (2, 0.0, (1, "sending")),
    "while it was waited for": (3, 1.0, (1, "sent")),
    "when its results were looked for": (4, 0.0, (1, "sent")),
    "while they were read": (5, 0.0, (1, "sent")),
}


@pytest.mark.parametrize("moment", MOMENTS)
async def test_killed_and_run_again_every_line_is_answered_and_booked_once(tmp_path: Path, moment: str) -> None:
    reply, batch_s, stands = MOMENTS[moment]
    gate = Gate(reply)
    with anyio.fail_after(120):
        async with serve(Scenario(batch_s=batch_s), sleep=gate) as base:
            shell = Shell(tmp_path, base)
            await shell.killed(gate.held)
            assert not shell.out.read_text()
            assert (await shell.handed_in(), shell.aged()) == stands
            status, _, said = await shell.batch("-o", "out.jsonl")
            assert status == 0, said
            await shell.answered_once()


async def test_killed_while_results_are_written_the_rest_is_added_and_nothing_is_booked_twice(tmp_path: Path) -> None:
    with anyio.fail_after(120):
        async with serve(Scenario(batch_s=0)) as base:
            shell, some = Shell(tmp_path, base, MANY), anyio.Event()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(shell.killed, some)
                while not shell.out.exists() or not shell.out.stat().st_size:
                    await anyio.sleep(0.002)
                some.set()
            before = shell.out.read_bytes()
            status, _, said = await shell.batch("-o", "out.jsonl")
            assert status == 0, said
            await shell.answered_once(MANY)
    whole = before[: before.rfind(b"\n") + 1]
    assert whole and shell.out.read_bytes().startswith(whole)


async def test_handed_in_by_one_command_and_collected_by_another(tmp_path: Path) -> None:
    with anyio.fail_after(120):
        async with serve(Scenario(batch_s=1.0)) as base:
            shell = Shell(tmp_path, base)
            status, out, said = await shell.batch("--no-wait", "--json", "-o", "out.jsonl")
            first = json.loads(out)
            assert (status, first["answered"] + first["waiting"], first["failed"]) == (0, LINES, 0), said
            status, out, said = await shell.batch("--json", "-o", "out.jsonl")
            second = json.loads(out)
            assert (status, second["waiting"]) == (0, 0), said
            await shell.answered_once()
    assert first["answered"] + second["answered"] == LINES
    assert second["cost_usd"] == pytest.approx(sum(one["cost_usd"] for one in shell.told()) - first["cost_usd"])


async def test_what_waits_is_said_and_can_be_stopped_and_asked_anew(tmp_path: Path) -> None:
    with anyio.fail_after(120):
        async with serve(Scenario(batch_s=10_000)) as base:
            shell = Shell(tmp_path, base)
            status, _, said = await shell.batch("--no-wait", "-o", "out.jsonl")
            assert status == 0 and f"{LINES} lines wait at the providers" in said and "--cancel" in said
            status, _, said = await shell.batch("--cancel", "-o", "out.jsonl")
            assert status == 4 and f"{LINES} failed" in said, (status, said)
            assert {one["error"]["code"] for one in shell.told()} == {"provider_failed"}
            assert await shell.handed_in() == 1
            status, out, _ = await shell.run("costs", "--json")
    assert status == 0 and json.loads(out)["total_usd"] == 0


async def test_a_provider_without_batches_is_said_so_line_by_line(tmp_path: Path) -> None:
    with anyio.fail_after(120):
        async with serve() as base:
            shell = Shell(tmp_path, base, 2)
            config = tmp_path / "plenum.toml"
            config.write_text(config.read_text().replace('batch = "openai"', ""))
            status, out, _ = await shell.batch("--json")
    told = json.loads(out)
    assert (status, told["answered"], told["codes"]) == (3, 0, {"no_model": 2})
    assert all("--provider-batch" in one["error"]["hint"] for one in told["results"])


async def test_what_was_warmed_costs_its_caller_nothing_and_nobody_else_has_it(tmp_path: Path) -> None:
    with anyio.fail_after(120):
        async with serve(Scenario(batch_s=0)) as base:
            shell = Shell(tmp_path, base)
            for words in (["--warm", "reader"], ["--warm", "shell", "--provider-batch"]):
                status, out, said = await shell.run("batch", "in.jsonl", *words)
                assert (status, out) == (0, "") and f"{LINES} answered" in said, said
            status, out, _ = await shell.run("ask", "What is 3+1?", "--model", "one/fast", "--json")
            own = json.loads(out)["receipt"]
            config = (tmp_path / "plenum.toml").read_text().partition("auto = false\n")[2]
            found = {}
            for name in ("reader", "stranger"):
                async with host(tmp_path, config, name) as client:
                    result = await client.call_tool("generate", {"prompt": "What is 3+1?", "model": "one/fast"})
                    found[name] = result.meta["plenum/receipt"]["cached"]
    assert (status, own["cached"], own["cost_usd"]) == (0, "exact", 0)
    assert found == {"reader": "exact", "stranger": "no"}


async def test_killed_between_two_hand_ins_lines_that_ask_the_same_are_paid_once(tmp_path: Path) -> None:
    """Gemini takes a thousand lines at a time. The second thousand is on its way when the process is killed."""
    gate, answers = Gate(2), [*range(1, 1002), 1, 1001, 1002, 2]
    with anyio.fail_after(120):
        async with serve(Scenario(batch_s=0), sleep=gate) as base:
            shell = Shell(tmp_path, base)
            (tmp_path / "plenum.toml").write_text(
                CONFIG.replace('batch = "openai"', 'batch = "gemini"').format(
                    name="one", dialect="gemini", base=f"{base}/gemini/v1beta", priority=1
                )
            )
            asked = [{"prompt": f"What is {n}+1?", "model": "one/fast"} for n in answers]
            (tmp_path / "in.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in asked))
            await shell.killed(gate.held)
            assert not shell.out.read_text()
            shell.aged()
            status, _, said = await shell.batch("-o", "out.jsonl")
            assert status == 0, said
    told = {one["line"]: one for one in shell.told()}
    assert sorted(told) == list(range(1, len(answers) + 1)) and len(shell.told()) == len(answers)
    assert all(told[line]["answer"].endswith(f" {n + 1}.") for line, n in enumerate(answers, 1))
    assert [line for line in sorted(told) if told[line]["cached"] != "no"] == [1002, 1003, 1005]
    attempts = rows(tmp_path / "plenum.db", "SELECT state, count(*), sum(cost) FROM attempt GROUP BY 1")
    assert [row[:2] for row in attempts if row[0] != 2] == [(1, 1002)]
    assert rows(tmp_path / "plenum.db", "SELECT held FROM budget WHERE scope = 'global'") == [(0,)]
