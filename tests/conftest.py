import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# What decides whether a change lands says the same thing twice; `pytest --hypothesis-profile=explore` looks further.
settings.register_profile("gate", derandomize=True, database=None)
settings.register_profile("explore", database=None, print_blob=True)
settings.load_profile("gate")

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", action="store_true", help="write what is seen into tests/golden/ instead of comparing")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, Any], None]:
    """Compares a JSON value with the file of this name in `tests/golden/`."""

    def compare(name: str, seen: Any) -> None:
        file = GOLDEN / f"{name}.json"
        text = json.dumps(seen, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        if request.config.getoption("--golden"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        known = file.read_text() if file.exists() else ""
        assert text.splitlines() == known.splitlines(), f"if this is meant: pytest {request.path.name} --golden"

    return compare
