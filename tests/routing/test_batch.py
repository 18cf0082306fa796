"""Batches: every line once, whatever is killed; broken lines say so; one envelope; memory of those in flight."""

import io
import json
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from providers.types import Answer
from routing.batch import ENOUGH, Batch, Line
from routing.errors import BudgetExceeded, NoModel
from routing.seen import Ids
from routing.types import Ask, Receipt, Result
from server.batching import LONGEST, Bits, Clash, Defaults, Outbox, fresh, lines, name_of
from tests.doubles import ask
from tests.routing.batch_worker import EVERY
from tests.routing.money import rows

ROOT = Path(__file__).parents[2]
DEFAULTS = Defaults({}, "shell")


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Model:
    """Answers all but those whose prompt names a fault."""

    def __init__(self) -> None:
        self.asked: list[Ask] = []
        self.running = self.most = 0

    async def generate(self, asked: Ask) -> Result:
        self.asked.append(asked)
        self.running += 1
        self.most = max(self.most, self.running)
        await anyio.lowlevel.checkpoint()
        self.running -= 1
        text = asked.request.messages[0].text
        if text == "poor":
            raise BudgetExceeded("the envelope is empty", hint="")
        if text == "nobody":
            raise NoModel("nobody has it", hint="")
        return Result(Answer(text.upper()), Receipt("id", cost_usd=0.25))


def line(number: int, text: str = "hi") -> Line:
    return Line(number, str(number), ask(text))


async def run(of, *, at_once: int = 4, **known):
    model, told = Model(), []
    count = await Batch("b", model, at_once=at_once, **known).run(iter(of), lambda done, _: told.append(done))
    return model, told, count


@pytest.mark.anyio
async def test_every_line_is_asked_once_under_its_own_request_id_and_in_one_envelope():
    model, told, count = await run(line(n) for n in range(1, 101))
    assert sorted(done.line.number for done in told) == list(range(1, 101))
    assert {a.request_id for a in model.asked} == {f"b:{n}" for n in range(1, 101)}
    assert {a.part_of for a in model.asked} == {"b"}
    assert (count.answered, count.failed, count.usd) == (100, 0, 25.0)
    assert model.most == 4


@pytest.mark.anyio
async def test_lines_are_read_as_they_are_needed():
    read: list[int] = []

    def source():
        for number in range(1, 1000):
            read.append(number)
            yield line(number)

    seen = []
    await Batch("b", Model(), at_once=3).run(source(), lambda done, _: seen.append(len(read) - len(seen)))
    assert max(seen) <= 4


@pytest.mark.anyio
async def test_a_refused_line_is_told_and_the_others_go_on():
    _, told, count = await run([line(1), line(2, "nobody"), line(3)])
    assert {done.line.number: done.refusal and done.refusal.code for done in told} == {1: None, 2: "no_model", 3: None}
    assert (count.answered, count.failed, count.codes) == (2, 1, {"no_model": 1})


@pytest.mark.anyio
async def test_a_line_that_cannot_be_paid_is_put_aside_and_cheaper_ones_go_on():
    _, told, count = await run([line(1), line(2, "poor"), line(3), line(4, "poor"), line(5)], at_once=1)
    assert [done.line.number for done in told] == [1, 3, 5]
    assert (count.answered, count.failed, count.unpaid) == (3, 0, 2)
    assert count.stopped is None and count.poor is not None


@pytest.mark.anyio
async def test_when_no_line_can_be_paid_any_more_the_rest_is_not_tried():
    model, told, count = await run([line(1), *(line(n, "poor") for n in range(2, 1000))], at_once=1)
    assert [done.line.number for done in told] == [1]
    assert isinstance(count.stopped, BudgetExceeded)
    assert len(model.asked) == 1 + ENOUGH == 1 + count.unpaid


def read(text: bytes, done: Bits | None = None) -> list[Line]:
    return list(lines(io.BytesIO(text), DEFAULTS, done or Bits()))


BROKEN = {
    b"{": "not JSON",
    b"[1]": "no JSON object",
    b"nonsense": "not JSON",
    b"\xff\xfe\x00": "not JSON",
    b'{"prompt": 1}': "prompt",
    b'{"prompt": "x", "tempreature": 1}': "tempreature",
    b'{"id": null, "prompt": "x"}': "id is no text",
    b'{"id": "%s", "prompt": "x"}' % (b"x" * 300): "id is no text",
    b'{"prompt": "x", "request_id": "y"}': "no meaning",
    b"{}": "prompt",
    b"[" * 100_000: "not JSON",
    b'{"prompt": "x", "temperature": NaN}': "temperature",
}


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:20].decode(errors="replace"))
def test_a_broken_line_is_its_own_fault_and_no_other_lines(text):
    first, broken, last = read(b'{"prompt": "a"}\n' + text + b'\n{"prompt": "b"}')
    assert first.ask is not None and last.ask is not None
    assert broken.ask is None and BROKEN[text] in broken.fault.message
    assert (broken.number, last.number) == (2, 3)


def test_an_id_counts_once_also_where_its_first_line_is_done():
    text = b'{"id": "a", "prompt": "x"}\n{"prompt": "y"}\n\n{"id": "a", "prompt": "z"}\n'
    done = Bits()
    done.add(1)
    assert [(found.number, found.fault is None) for found in read(text, done)] == [(2, True), (4, False)]
    assert "used in line 1" in read(text)[-1].fault.message


def test_a_line_longer_than_any_request_is_skipped_in_pieces():
    class Endless(io.RawIOBase):
        """A gigabyte without a line end, then a line."""

        left = 1 << 30

        def readable(self):
            return True

        def readinto(self, buffer):
            size = min(len(buffer), self.left)
            if size > 0:
                buffer[:size] = b"x" * size
                self.left -= size
                return size
            if self.left == 0:
                self.left = -1
                tail = b'\n{"prompt": "after"}\n'
                buffer[: len(tail)] = tail
                return len(tail)
            return 0

    first, second = lines(io.BufferedReader(Endless(), 1 << 20), DEFAULTS, Bits())
    assert f"longer than {LONGEST >> 20} MiB" in first.fault.message
    assert second.ask is not None and second.number == 2


def test_a_million_ids_and_lines_take_little():
    ids, bits = Ids(), Bits()
    for number in range(1, 100_001):
        assert ids.first(f"id {number}", number) == number
        bits.add(number)
    assert ids.first("id 7", 100_001) == 7
    assert len(ids._hashes) * 16 <= 100_000 * 48 and len(bits._bytes) < 16_384
    assert bits.count == 100_000 and 100_001 not in bits and 99_999 in bits


def test_the_output_says_what_is_done_and_a_torn_line_is_cut_off(tmp_path):
    out = tmp_path / "out.jsonl"
    box = Outbox(out, "b")
    box.write({"line": 1, "batch": "b", "cost_usd": 0.5})
    box.write({"line": 2, "batch": "b", "error": {}})
    box.close()
    with out.open("ab") as file:
        file.write(b'{"line": 3, "bat')
    box = Outbox(out, "b")
    assert 1 in box.done and 2 in box.done and 3 not in box.done and box.usd == 0.5
    box.write({"line": 3, "batch": "b"})
    box.close()
    assert [json.loads(text)["line"] for text in out.read_text().splitlines()] == [1, 2, 3]


def test_errors_can_be_asked_again(tmp_path):
    out = tmp_path / "out.jsonl"
    box = Outbox(out, "b")
    for record in ({"line": 1, "batch": "b"}, {"line": 2, "batch": "b", "error": {}}):
        box.write(record)
    box.close()
    box = Outbox(out, "b", again=True)
    assert 1 in box.done and 2 not in box.done
    box.write({"line": 2, "batch": "b"})
    box.close()
    assert [json.loads(text) for text in out.read_text().splitlines()] == [
        {"line": 1, "batch": "b"},
        {"line": 2, "batch": "b"},
    ]


@pytest.mark.parametrize("again", [False, True])
def test_two_runs_do_not_write_to_one_file(tmp_path, again):
    out = tmp_path / "out.jsonl"
    box = Outbox(out, "b")
    box.write({"line": 1, "batch": "b", "error": {}})
    box.close()
    box = Outbox(out, "b", again=again)
    with pytest.raises(Clash, match="another run"):
        Outbox(out, "b")
    box.write({"line": 2, "batch": "b"})
    box.close()
    Outbox(out, "b").close()
    assert len(out.read_text().splitlines()) == 2 - again


@pytest.mark.parametrize("text", ['{"line": 1, "batch": "other"}', '{"some": "file"}', "prose", '["list"]'])
def test_somebody_elses_file_is_left_alone(tmp_path, text):
    out = tmp_path / "out.jsonl"
    out.write_text(f"{text}\n")
    with pytest.raises(Clash):
        Outbox(out, "b")
    assert out.read_text() == f"{text}\n"


def test_a_batch_is_its_file_as_it_stands_and_what_it_is_asked_with(tmp_path):
    file = tmp_path / "in.jsonl"
    file.write_text("{}\n")
    name = name_of(file, DEFAULTS)
    assert name == name_of(file, DEFAULTS) != name_of(file, Defaults({"model": "m"}, "shell"))
    assert fresh(name) != fresh(name)
    box = Outbox(tmp_path / "out.jsonl", anew := fresh(name))
    box.write({"line": 1, "batch": anew})
    box.close()
    box = Outbox(tmp_path / "out.jsonl", name)
    assert box.batch == anew
    box.close()
    with pytest.raises(Clash):
        Outbox(tmp_path / "out.jsonl", fresh(name))
    file.write_text("{}\n{}\n")
    assert name_of(file, DEFAULTS) != name


class Worker:
    """`batch_worker.py` in a process of its own."""

    def __init__(self, folder: Path, rpm: float, at_once: int = 64) -> None:
        files = [str(folder / name) for name in ("plenum.db", "in.jsonl", "out.jsonl")]
        command = [sys.executable, "-m", "tests.routing.batch_worker", *files, str(rpm), str(at_once)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def until(self, ended: int) -> list[dict]:
        """What it said until so many lines had ended, or it had."""
        said = []
        for text in self.process.stdout:
            said.append(json.loads(text))
            if said[-1]["end"] or said[-1]["ended"] >= ended:
                break
        return said

    def kill(self) -> None:
        self.process.kill()
        self.close()

    def close(self) -> None:
        self.process.wait(60)
        self.process.stdout.close()


def rate(said: list[dict]) -> float:
    """Lines a second, by the steadiest half: what the limiter lets through at once in the beginning is not counted."""
    first, last = said[len(said) // 3], said[-2]
    return (last["ended"] - first["ended"]) / (last["elapsed_s"] - first["elapsed_s"])


def killed_twice(folder: Path, total: int, rpm: float) -> list[dict]:
    with (folder / "in.jsonl").open("w") as file:
        for number in range(total):
            print(json.dumps({"id": f"q{number}", "prompt": f"What is {number} + 1?"}), file=file)
    for share in (0.25, 0.3):
        worker = Worker(folder, rpm)
        worker.until(round(total * share))
        worker.kill()
    worker = Worker(folder, rpm)
    said = worker.until(total + 1)
    worker.close()
    assert worker.process.returncode == 0
    return said


def once_each(folder: Path, total: int) -> None:
    with (folder / "out.jsonl").open() as file:
        written = [json.loads(text) for text in file]
    assert sorted(record["line"] for record in written) == list(range(1, total + 1))
    assert all(record["ok"] for record in written)
    db = folder / "plenum.db"
    assert rows(db, "SELECT count(*), count(DISTINCT request_id) FROM receipt") == [(total, total)]
    ((settled, asks),) = rows(db, "SELECT count(*), count(DISTINCT ask) FROM attempt WHERE state = 1")
    assert settled == asks == total
    ((open_, uncertain),) = rows(db, "SELECT sum(state = 0), sum(state = 3) FROM attempt")
    assert open_ == 0 and uncertain <= 2 * 64  # what was in flight when it was killed may have been billed: it is told


def test_killed_twice_every_line_stands_once_in_the_output_and_in_the_ledger(tmp_path):
    killed_twice(tmp_path, 8 * EVERY, rpm=600_000)
    once_each(tmp_path, 8 * EVERY)


@pytest.mark.soak
def test_ten_thousand_lines_killed_twice_at_nine_tenths_of_the_limit_in_flat_memory(tmp_path):
    rpm = 9_000
    said = killed_twice(tmp_path, 10_000, rpm)
    once_each(tmp_path, 10_000)
    assert rate(said) >= 0.9 * rpm * 0.9 / 60  # nine tenths of a minute's limit flow, one is the burst
    early, late = said[len(said) // 4]["peak_kb"], said[-1]["peak_kb"]
    assert late - early < 16_384
