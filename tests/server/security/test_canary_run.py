"""`make canary` itself: it finds a key that leaked, in whatever form and channel, and says so with its status."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HEAD = "import base64, os\nKEY = os.environ['OPENAI_API_KEY']\n"
SERVER = """
import anyio
from server.http.guard import Address, Guard
async def app(scope, receive, send):
    await send({"type": "http.response.body", "body": KEY.encode()})
async def nothing(*_): ...
def test_it():
    scope = {"type": "http", "path": "/healthz", "method": "GET", "headers": [(b"host", b"127.0.0.1:1")]}
    anyio.run(Guard(app, Address.of("127.0.0.1", 1), nothing, nothing), scope, nothing, nothing)
"""
LEAKS = {
    "nothing": ("def test_it(): assert KEY", 0),
    "printed by a test that passes": ("def test_it(): print('key', KEY)", 1),
    "written in base64": (
        "def test_it(tmp_path): (tmp_path/'x').write_bytes(base64.b64encode(b'ab' + KEY.encode()))",
        1,
    ),
    "in the answer of a server": (SERVER, 1),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_key_that_leaked_is_found(tmp_path: Path, name: str) -> None:
    text, status = LEAKS[name]
    file = tmp_path / "test_leak.py"
    file.write_text(HEAD + text)
    command = [sys.executable, "-m", "tests.server.security.canary", "-c", "pyproject.toml", "-q", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stdout + done.stderr
    assert ("CANARY in" in done.stdout) is bool(status)
