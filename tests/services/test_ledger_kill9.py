"""Processes die at any moment: nothing that was billed is missing, nothing stays held, no cap is passed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINUX = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")


def storm(kills: int, cap_usd: float, timeout: float, *leases: str) -> dict:
    command = [sys.executable, "-m", "tests.services.storm", str(kills), str(cap_usd), *leases]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=timeout)
    assert done.stdout, done.stderr.decode()[-2000:]
    return json.loads(done.stdout)


@LINUX
def test_fifty_kills_under_load_lose_nothing_and_each_restart_takes_less_than_a_second():
    found = storm(50, 1e6, 120)
    assert found["faults"] == []
    assert found["kills"] == 50
    assert found["billed_calls"] > 300
    assert found["states"]["uncertain"] > 10  # calls were open when their process died
    assert found["restart_s"] < 1.0


@LINUX
def test_what_was_promised_out_of_leases_is_booked_although_its_process_died():
    found = storm(40, 1e6, 120, "leases")
    assert found["faults"] == []
    assert found["billed_calls"] > 300
    assert found["nameless"] > 10  # calls were open on leases when their process died
    assert found["restart_s"] < 1.0


@LINUX
def test_kills_under_leases_at_the_edge_of_a_budget_do_not_pass_it():
    found = storm(15, 1.0, 120, "leases")
    assert found["faults"] == []
    assert found["booked_usd"] <= 1.0
    assert found["billed_usd"] <= 1.0


@LINUX
def test_kills_at_the_edge_of_a_budget_do_not_pass_it():
    found = storm(15, 0.25, 120)
    assert found["faults"] == []
    assert 0.15 < found["booked_usd"] <= 0.25
    assert found["billed_usd"] <= 0.25


@LINUX
@pytest.mark.soak
def test_two_thousand_kills_lose_nothing():
    found = storm(int(os.environ.get("PLENUM_SOAK_KILLS", "2000")), 1e6, 3600)
    assert found["faults"] == []
    assert found["restart_s"] < 1.0
