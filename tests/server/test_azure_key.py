"""Azure takes keys in a header of its own, and access tokens as bearer tokens."""

from pathlib import Path

import pytest

from tests.server.http.wire import ask
from tests.server.security.homes import home

pytestmark = pytest.mark.anyio
CONFIG = """
[providers.azure]
base_url = "{base}/openai/v1"
api_key_env = "MY_AZURE_KEY"
[[providers.azure.models]]
id = "mine"
base = "gpt-4.1-mini"
"""


@pytest.mark.parametrize(
    ("key", "header"),
    [("0123456789abcdef0123456789abcdef", "api-key"), ("eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "authorization")],
    ids=["key", "token of Entra"],
)
async def test_azures_key_goes_where_azure_looks_for_it(tmp_path: Path, key: str, header: str) -> None:
    from providers.simulator.server import serve

    async with serve() as base, home(tmp_path, CONFIG.format(base=base), MY_AZURE_KEY=key) as house:
        _, answer = await house.post(*ask(model="azure/mine"))
        assert b"[simulated]" in answer
        import httpx

        async with httpx.AsyncClient() as http:
            (sent,) = (await http.get(f"{base}/_log")).json()
    assert {name for name in ("api-key", "authorization") if name in sent["headers"]} == {header}
