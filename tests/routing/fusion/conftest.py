import pytest
from fusion_house import House

from providers.simulator.virtual import VirtualLoop
from routing.fusion.ask import FusionSettings


@pytest.fixture(params=[("asyncio", {"loop_factory": VirtualLoop})], ids=["virtual time"])
def anyio_backend(request):
    return request.param


@pytest.fixture
def house():
    """`house({"alpha": "The answer is (B)."}, cards={"alpha": {"quality": 0.9}})`."""

    def make(members: dict[str, object], *, settings: FusionSettings = FusionSettings(), cards=None, **means) -> House:
        return House(members, settings, means, cards or {})

    return make
