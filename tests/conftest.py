import pytest
from hypothesis import settings

# What decides whether a change lands says the same thing twice; `pytest --hypothesis-profile=explore` looks further.
settings.register_profile("gate", derandomize=True, database=None)
settings.register_profile("explore", database=None, print_blob=True)
settings.load_profile("gate")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
