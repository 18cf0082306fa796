"""What an upstream says has changed is fetched anew at once, in either era; what it does not say, after its time."""

import sys
from pathlib import Path

import anyio
import pytest

from tests.doubles import ask
from tests.server.context.place import configured, material, odd, opened

pytestmark = pytest.mark.anyio
NEW = Path(__file__).with_name("new_upstream.py")
TABLE = "[context.server.a]\nttl_s = 3600\ntimeout_s = 20\n"


@pytest.mark.parametrize("era", ["2026", "handshake"])
async def test_a_change_that_is_told_is_seen_long_before_its_time(era: str, tmp_path: Path) -> None:
    text = tmp_path / "tells.pids.text"
    text.write_text("The heron is grey.")
    new = {"command": sys.executable, "args": [str(NEW), str(text)]}
    asked = ask("heron?", sources=("a",))
    loaded = configured(tmp_path, {"a": new if era == "2026" else odd(tmp_path, "tells")}, TABLE)
    async with opened(loaded) as sources:
        assert "grey" in material(await sources.add(asked))
        assert sources.view()[0].protocol == ("2026-07-28" if era == "2026" else "2025-11-25")
        with anyio.fail_after(30):
            number = 0
            while "white" not in material(await sources.add(asked)):
                number += 1
                text.write_text(f"The heron is white {number}.")  # again, for one may fall before the subscription
                await anyio.sleep(0.05)


async def test_what_is_not_told_is_fetched_again_after_its_time(tmp_path: Path) -> None:
    text = tmp_path / "as_written.pids.text"
    text.write_text("The heron is grey.")
    toml = '[context.server.a]\nttl_s = 0.05\ntimeout_s = 20\ninclude = []\ntools = [{ name = "read" }]\n'
    async with opened(configured(tmp_path, {"a": odd(tmp_path, "as_written")}, toml)) as sources:
        asked = ask("heron?", sources=("a",))
        assert "grey" in material(await sources.add(asked))
        text.write_text("The heron is white.")
        with anyio.fail_after(30):
            while "white" not in material(await sources.add(asked)):
                await anyio.sleep(0.02)
