"""What the tests of protection share: a clock that is moved by hand, deployments that are only names."""

import pytest

from providers.types import ModelCard
from routing.types import Deployment


class Clock:
    """Monotonic seconds that move when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Unreachable:
    """A provider nobody may open."""

    def open(self, request, model):
        raise AssertionError("protection opens nobody")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def deployment():
    """A factory of deployments: `deployment("alpha", "m1", weight=2)`; the endpoint is the provider's name."""

    def make(provider: str = "alpha", model: str = "m1", **more) -> Deployment:
        return Deployment(provider, model, provider, ModelCard(model), None, Unreachable(), **more)

    return make
