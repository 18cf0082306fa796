"""The threat table: every row's defence is taken away once, and the row's test must notice (`mutants.py`)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.security.mutants import MUTANTS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/security.md").read_text("utf-8")
ROWS = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| ") and ".py" in line]


def outcome(name: str, test: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.server.security.mutants",
        "-q",
        "-x",
        "-m",
        "not soak",
        test,
    ]
    environment = {**os.environ, "PLENUM_MUTANT": name}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.soak
@pytest.mark.parametrize("name", MUTANTS)
def test_without_its_defence_the_rows_test_fails(name: str) -> None:
    found = outcome(name, MUTANTS[name].test)
    assert found.returncode == 1, f"survived: {found.stdout[-2000:]}{found.stderr[-1000:]}"
    assert "FAILED" in found.stdout and "ERROR" not in found.stdout.split("short test summary")[-1]


def test_one_of_them_at_every_run() -> None:
    """The others take minutes and are soak."""
    assert outcome("any schema", MUTANTS["any schema"].test).returncode == 1
    assert outcome("", MUTANTS["any schema"].test).returncode == 0


def test_every_row_of_the_page_names_a_test_that_is_there() -> None:
    assert len(ROWS) >= 20
    for row in ROWS:
        for file, name in re.findall(r"`(?:tests/)?([\w/]+\.py)(?:::(\w+))?`", row[2]):
            place = ROOT / "tests" / file
            assert place.is_file(), file
            assert not name or f"def {name}(" in place.read_text("utf-8"), name


def test_every_threat_that_has_a_mutant_is_a_row_of_the_page() -> None:
    known = {row[0].removeprefix("| ") for row in ROWS}
    assert {mutant.threat for mutant in MUTANTS.values()} <= known
    for mutant in MUTANTS.values():
        file, _, name = mutant.test.partition("::")
        assert (ROOT / file).is_file() and (not name or f"def {name}(" in (ROOT / file).read_text("utf-8"))
