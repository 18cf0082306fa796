"""The drill on a configuration as composed: `plenum drill --kill openai` on the example, without keys."""

from doubles import sim

from providers.types import Price
from routing.directory import Names, Naming
from routing.drill import Drill, Trouble, rehearse
from server.compose import today


def test_a_group_with_two_providers_survives_the_loss_of_either():
    deployments = [
        sim("openai", model="small", simulated=False, status="no_key", price=Price(0.2, 1)),
        sim("alpha", model="m1", simulated=False, status="no_key", price=Price(0.5, 2)),
    ]
    directory = Names(deployments, Naming(groups={"fast": ["openai/small", "alpha/m1"]}), today=today)
    for lost, left in [("openai", "alpha"), ("alpha", "openai")]:
        report = rehearse(directory, Drill((Trouble(lost, "kill"),), models=("fast", "auto"), requests=40))
        assert report.troubled.failures == {}
        assert set(report.troubled.served) == {left}
    alone = rehearse(directory, Drill((Trouble("openai", "kill"),), models=("openai/small",), requests=10))
    assert alone.troubled.answered == 0
