"""At rest: what is forgotten is gone from the disk, what is old goes by itself, and a hash is all that is kept if wished."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from routing.store.archive import Record
from routing.store.sqlite import sqlite

ROOT = Path(__file__).parents[3]
WORD = "canarywordxyz"


@pytest.fixture
def plenum(tmp_path: Path):
    def run(*words: str, **environment: str):
        clean = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
        env = {**clean, "PYTHONPATH": str(ROOT), "PLENUM_HOME": str(tmp_path), "PLENUM_PROVIDERS_AUTO": "false"}
        command = [sys.executable, "-m", "server", *words]
        return subprocess.run(
            command,
            env=env | environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )

    return run


def on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_a_forgotten_answer_is_gone_from_every_byte_of_the_store(plenum, tmp_path: Path) -> None:
    done = plenum("ask", "--demo", "--json", "--model", "sim/echo", f"repeat {WORD}")
    id_ = json.loads(done.stdout)["id"]
    assert WORD.encode() in on_disk(tmp_path)
    assert plenum("forget", id_).returncode == 0
    assert WORD.encode() not in on_disk(tmp_path)
    assert plenum("forget", id_).returncode == 2
    assert json.loads(plenum("costs", "--json").stdout)["calls"] == 1  # the sums stay
    assert "forgotten" in plenum("audit", "show").stdout


def test_all_before_a_day_can_be_forgotten(plenum, tmp_path: Path) -> None:
    plenum("ask", "--demo", "--model", "sim/echo", f"repeat {WORD}")
    assert plenum("forget", "--before", "2001-01-01", "--json").stdout.strip() == '{"forgotten": 0}'
    assert plenum("forget", "--before", "2099-01-01", "--json").stdout.strip() == '{"forgotten": 1}'
    assert WORD.encode() not in on_disk(tmp_path)


@pytest.mark.parametrize("words", [(), ("x", "--before", "2001-01-01"), ("--before", "yesterday")])
def test_forgetting_must_say_what(plenum, words) -> None:
    assert plenum("forget", *words).returncode == 2


def test_with_hashes_only_no_text_is_ever_written(plenum, tmp_path: Path) -> None:
    done = plenum("ask", "--demo", "--model", "sim/echo", f"repeat {WORD}", PLENUM_STORE_TEXTS="hash")
    assert WORD in done.stdout and WORD.encode() not in on_disk(tmp_path)


@pytest.mark.anyio
async def test_the_oldest_go_when_the_file_grows_above_its_cap(tmp_path: Path) -> None:
    async with sqlite(tmp_path / "plenum.db") as store:
        for number in range(100):
            record = Record(f"r{number}", "ann", 1000.0 + number, "k", b"b", os.urandom(20_000), b"t")
            await store.archive.keep(record).wait()
        gone = await store.archive.trim(1_000_000).wait()
        assert 40 < gone < 80
        assert await store.archive.read("r0", "ann") is None and await store.archive.read("r99", "ann") is not None
        assert await store.archive.trim(1_000_000).wait() == 0
