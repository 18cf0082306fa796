"""Rehearsing failures on one's own configuration."""

import json
from pathlib import Path

EXAMPLE = str(Path(__file__).parents[3] / "docs/examples/plenum.toml")


def test_killing_a_provider_is_survived_when_another_can_serve(plenum) -> None:
    found = json.loads(plenum("drill", "--kill", "openai", "--json", "--config", EXAMPLE, "--requests", "60").stdout)
    assert found["troubled"]["answered"] == 60 and "openai" not in found["troubled"]["served"]
    assert found["calm"]["served"]["openai"] > 0


def test_an_unknown_provider_is_wrong_usage(plenum) -> None:
    done = plenum("drill", "--kill", "opnai", "--config", EXAMPLE)
    assert done.returncode == 2 and "opnai" in done.stderr
