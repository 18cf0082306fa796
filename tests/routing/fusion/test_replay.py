"""The replay of recorded answers: skipped where the data is absent; elsewhere a sample of it through the whole product."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DATA = ROOT.parent / "shared/data/fuse"
present = pytest.mark.skipif(not DATA.is_dir(), reason="the recorded answers are not part of this repository")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)


def test_without_data_the_bench_says_what_it_needs(monkeypatch):
    monkeypatch.delenv("PLENUM_REPLAY_DATA", raising=False)
    done = run("bench.replay_fuse")
    assert "--data" in done.stderr


@present
def test_a_sample_replays_through_the_product_beside_the_guides_recipe():
    told = json.loads(
        run(
            "bench.replay_fuse", "--data", str(DATA), "--json", "--sample", "15", "--policies", "quick,reference"
        ).stdout
    )
    quick, reference = told["policies"]
    assert (quick["policy"], reference["policy"]) == ("quick", "reference")
    assert len(quick["pools"]) == 13
    assert quick["mean_gain"] > 0
    assert abs(quick["calls"] - reference["calls"]) < 0.2
    extraction = told["extraction"]
    assert extraction["false_merge_rate"] <= 0.002
    assert extraction["zeroeval_abstention_rate"] <= 0.01
    assert extraction["mmlupro_abstention_rate"] <= 0.048
    fresh = [row for row in extraction["sets"].values() if row["new"]]
    assert sum(row["new_right"] for row in fresh) >= sum(row["new_expected"] for row in fresh)
    assert told["cpu_s_per_1000_fuses"] <= 1.0
