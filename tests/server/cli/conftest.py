import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def plenum(tmp_path: Path):
    def run(*words: str, **environment: str):
        clean = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
        env = {**clean, "PYTHONPATH": str(ROOT), "PLENUM_HOME": str(tmp_path), **environment}
        command = [sys.executable, "-m", "server", *words]
        return subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    return run
