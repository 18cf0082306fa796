"""`make fuzz`: every border by coverage (atheris) for its share of 60 seconds; `python -m tests.fuzz [SECONDS] [TARGET …]`.

Each runs in a process of its own: libFuzzer ends its process, with the input that did it where something was found.
"""

import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path


def main(words: list[str]) -> int:
    """0 where nothing was found, or where atheris is not to be had (said on stderr)."""
    if find_spec("atheris") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor} on {sys.platform}"
        sys.stderr.write(f"skipped: there is no wheel of atheris for Python {version}\n")
        return 0
    from tests.fuzz.targets import TARGETS

    names = words[1:] or list(TARGETS)
    share = max(1, int(words[0] if words else 60) // len(names))
    worst = 0
    for name in names:
        status, runs = _fuzzed(name, share)
        sys.stdout.write(f"{name}: {runs} runs, {'nothing found' if status == 0 else 'FOUND, see above'}\n")
        worst = max(worst, status)
    return worst


def _fuzzed(name: str, seconds: int) -> tuple[int, str]:
    with tempfile.TemporaryDirectory(prefix="plenum-corpus-") as corpus:
        command = [sys.executable, "-m", "tests.fuzz.one", name, corpus, f"-max_total_time={seconds}", "-max_len=2048"]
        done = subprocess.run(
            [*command, "-timeout=30", f"-artifact_prefix={corpus}/", "-print_final_stats=1"],
            cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
        )  # fmt: skip
        told = done.stdout + done.stderr
        runs = next((line.split()[-1] for line in told.splitlines() if "number_of_executed_units" in line), "?")
        if done.returncode:
            found = [file for file in Path(corpus).iterdir() if file.name.startswith(("crash", "timeout", "oom"))]
            inputs = "\n".join(f"{file.name}: {file.read_bytes()!r}" for file in found)
            sys.stderr.write(f"{told[-6000:]}\n{inputs}\n")
        return done.returncode, runs


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
