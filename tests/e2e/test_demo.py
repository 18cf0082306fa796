"""`plenum demo` is what a newcomer sees first: every scene checks what it tells."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_scene_of_the_demo_works(tmp_path: Path) -> None:
    keep = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "HOME")}
    done = subprocess.run(
        [sys.executable, "-m", "server", "demo"],
        env={**keep, "PYTHONPATH": str(ROOT), "PLENUM_HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "42 (majority)" in done.stdout and "dissent: sim/dissenter" in done.stdout
    assert "sim-east/smart: truncated" in done.stdout and "sim-west/smart: ok" in done.stdout
    assert "3 December" in done.stdout and "from notes: " in done.stdout
    assert "Traceback" not in done.stderr
