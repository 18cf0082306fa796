"""The power goes at any moment: what was acknowledged is there, and nothing is torn."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def cuts(seed: int, calls: int, synchronous: str = "FULL") -> dict:
    command = [sys.executable, "-m", "tests.services.powercut", str(seed), str(calls), synchronous]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=600)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_acknowledged_call_and_no_kept_answer_is_lost(seed):
    found = cuts(seed, 250)
    assert found.pop("cuts") > 50
    assert not any(found.values()), found


def test_the_cut_is_one_that_weaker_settings_do_not_survive():
    assert cuts(1, 200, "NORMAL")["lost"] > 0


@pytest.mark.soak
def test_twenty_thousand_cuts_lose_nothing():
    total = 0
    for seed in range(10, 80):
        found = cuts(seed, 1000)
        total += found.pop("cuts")
        assert not any(found.values()), (seed, found)
    assert total > 20_000
