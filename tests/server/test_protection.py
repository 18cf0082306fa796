"""Protection as the composition root opens it: parts of the configuration that must be in force, faults that must be told."""

import anyio
import pytest

from providers.errors import Unavailable
from routing.background import background
from routing.limits import Limiter
from server.config import Config, ConfigFault
from server.hub import Hub
from server.memory import used_share
from server.protection import protection

pytestmark = pytest.mark.anyio


def config(**tables) -> Config:
    return Config.model_validate(tables)


async def test_the_configured_breaker_and_in_flight_are_in_force():
    said = config(breaker={"failures": 2, "open_s": 9}, routing={"in_flight": 7})
    async with protection(said, Hub()) as found:
        assert isinstance(found.limiter, Limiter)
        assert (found.guards.rules.breaker.failures, found.guards.rules.breaker.open_s) == (2, 9)
        assert found.admission.view().in_flight == 7
    async with protection(config(), Hub(), 1024) as found:
        assert found.admission.view().in_flight == 1024


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "127.0.0.1:6379", "postgresql://x/y"])
async def test_an_address_of_no_redis_is_told_with_its_key(url):
    with pytest.raises(ConfigFault, match=r"store\.shared: should begin with redis://"):
        async with protection(config(store={"shared": url}), Hub()):
            pass


async def test_health_and_balancer_learn_from_what_the_guard_lets_through(deployment_of):
    async with protection(config(), Hub()) as found:
        async with found.guards.admit(deployment_of("alpha")) as permit:
            permit.failed(Unavailable("x"))
        view = found.health.provider("alpha", found.guards.show(), found.limiter.view("alpha"))
        assert (view.consecutive_failures, view.limiter.running) == (1, 0)
        assert found.balancer.outstanding("alpha/m1") == 0


@pytest.fixture
def deployment_of():
    from providers.types import ModelCard
    from routing.types import Deployment

    return lambda provider: Deployment(provider, "m1", provider, ModelCard("m1"), None, None)


async def test_a_fault_of_the_block_leaves_the_background_as_itself():
    with pytest.raises(KeyError, match="mine"):
        async with background() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            raise KeyError("mine")


def test_the_share_of_memory_in_use_is_a_share():
    assert 0 <= used_share() < 1
