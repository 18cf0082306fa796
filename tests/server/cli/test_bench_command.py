"""`plenum bench --demo --out`: the acceptance's own command."""

import json


def test_a_demo_makes_a_report_with_a_chart(plenum, tmp_path) -> None:
    done = plenum(
        "bench",
        "--demo",
        "--json",
        "--out",
        "report",
        "--model",
        "sim/fast",
        "--model",
        "sim/dissenter",
        "--repetitions",
        "2",
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {score["model"]: score["calls"] for score in found["scores"]} == {"sim/fast": 14, "sim/dissenter": 14}
    report = (tmp_path / "report/report.md").read_text("utf-8")
    assert "| sim/fast | 14 |" in report
    assert (tmp_path / "report/chart.svg").read_text("utf-8").startswith("<svg")
    assert plenum("bench", "--demo", "--task", "nonsense").returncode == 2
