"""Several providers as one."""

import pytest
from doubles import Listed, ask, sim

from routing.errors import NoModel
from routing.hybrid import Hybrids
from routing.manager import ProviderManager
from routing.types import Resolution


class Exact(Listed):
    """Knows exact names only."""

    def resolve(self, ask):
        return Resolution(ask.model, (tuple(d for d in self.deployments() if d.name == ask.model),), exact=True)


def directory(**members):
    deployments = [
        sim("openai", model="small", simulated=False),
        sim("alpha", model="small", simulated=False, priority=1),
        sim("alpha", model="big", simulated=False),
        sim("stranger", model="small", simulated=False),
    ]
    return Hybrids(Exact(deployments), members)


def names(resolution):
    return [[d.name for d in step] for step in resolution.steps]


def test_a_hybrids_model_may_be_served_by_every_member_that_has_it_and_by_nobody_else():
    team = directory(team=["openai", "alpha"])
    assert names(team.resolve(ask(model="team/small"))) == [["openai/small", "alpha/small"]]
    assert names(team.resolve(ask(model="team/big"))) == [["alpha/big"]]


def test_a_hybrids_name_alone_means_any_model_of_its_members():
    found = directory(team=["openai", "alpha"]).resolve(ask(model="team/"))
    assert found.auto
    assert names(found) == [["openai/small", "alpha/small", "alpha/big"]]


def test_other_names_are_none_of_its_business():
    assert names(directory(team=["alpha"]).resolve(ask(model="stranger/small"))) == [["stranger/small"]]


def test_hybrids_may_hold_hybrids_but_not_themselves():
    nested = directory(all=["team", "stranger"], team=["openai"])
    assert names(nested.resolve(ask(model="all/small"))) == [["openai/small", "stranger/small"]]
    with pytest.raises(ValueError, match="member of itself: a → b → a"):
        directory(a=["b"], b=["a"])


def test_an_unknown_model_of_a_hybrid_is_refused_with_the_nearest():
    with pytest.raises(NoModel) as refused:
        directory(team=["openai", "alpha"]).resolve(ask(model="team/smal"))
    assert "team/small" in refused.value.hint


@pytest.mark.anyio
async def test_the_receipt_names_the_member_that_answered():
    result = await ProviderManager(directory(team=["openai", "alpha"])).generate(ask(model="team/small"))
    assert (result.receipt.provider, result.receipt.model) == ("alpha", "small")
