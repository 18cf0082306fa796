"""Local engines that run are found by themselves, with the models they list."""

from dataclasses import replace

import anyio
import pytest

from providers.catalog import rows
from providers.http import Http
from providers.simulator.server import serve
from server import engines
from server.roster import Wires

pytestmark = pytest.mark.anyio


async def test_an_engine_that_answers_on_its_port_is_found_with_its_models(monkeypatch) -> None:
    async with serve() as base, Http() as http:
        port = int(base.rpartition(":")[2])
        known = replace(rows()["lmstudio"], base_url="http://127.0.0.1:1234/openai/v1", ports=(port,))
        monkeypatch.setattr(engines, "rows", lambda: {"lmstudio": known})
        (roster,) = await engines.engines(Wires(http), frozenset())
        deployments = list(roster.deployments())
    assert roster.seat.local and "fast" in [d.model for d in deployments]
    assert {(d.price.input, d.region) for d in deployments} == {(0.0, "local")}


async def test_a_port_nobody_listens_on_costs_no_time_and_finds_nobody(monkeypatch) -> None:
    known = replace(rows()["lmstudio"], ports=(1,))
    monkeypatch.setattr(engines, "rows", lambda: {"lmstudio": known})
    with anyio.fail_after(30):
        async with Http() as http:
            assert await engines.engines(Wires(http), frozenset()) == []


async def test_an_engine_that_is_configured_is_left_to_the_configuration(monkeypatch) -> None:
    async with serve() as base, Http() as http:
        known = replace(rows()["lmstudio"], ports=(int(base.rpartition(":")[2]),))
        monkeypatch.setattr(engines, "rows", lambda: {"lmstudio": known})
        assert await engines.engines(Wires(http), frozenset({"lmstudio"})) == []
