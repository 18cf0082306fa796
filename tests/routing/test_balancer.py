"""The balancer in virtual time: shares follow weights, the slow and the hung are left, nobody is starved."""

import heapq
import random

import pytest

from providers.errors import Unavailable
from routing.balancer import BalancerSettings, RoundRobin
from routing.ports import Ending


class Traffic:
    """So many calls at so much concurrency, each lasting what `latency(provider, now)` says."""

    def __init__(self, group, latency) -> None:
        self.now = 0.0
        self.balancer = RoundRobin(clock=lambda: self.now)
        self.group, self.latency = group, latency
        self.order = []

    def run(self, calls, concurrency):
        running = []
        for number in range(calls):
            if len(running) == concurrency:
                self._end(heapq.heappop(running))
            chosen = self.balancer.order(self.group)[0]
            self.balancer.started(chosen)
            self.order.append(chosen.provider)
            lasts = self.latency(chosen.provider, self.now)
            heapq.heappush(running, (self.now + lasts, number, chosen, lasts))
        while running:
            self._end(heapq.heappop(running))
        return self

    def _end(self, call):
        self.now, _, chosen, lasts = call
        self.balancer.ended(chosen, Ending(True, lasts))

    def share(self, provider, start=0, stop=None):
        part = self.order[start:stop]
        return part.count(provider) / len(part)


@pytest.mark.parametrize("concurrency", [1, 4, 32])
@pytest.mark.parametrize("weights", [[1, 1], [1, 1, 1], [3, 1], [5, 2, 1], [10, 1], [3, 2, 2, 1]])
@pytest.mark.parametrize("spread", ["none", "lognormal"])
def test_shares_follow_the_weights_within_two_percent_over_2000_calls(deployment, concurrency, weights, spread):
    rng = random.Random(7)
    group = [deployment(f"p{i}", weight=w) for i, w in enumerate(weights)]
    traffic = Traffic(group, lambda *_: 1.0 if spread == "none" else rng.lognormvariate(0, 0.5))
    traffic.run(2000, concurrency)
    for member in group:
        assert traffic.share(member.provider) == pytest.approx(member.weight / sum(weights), abs=0.02)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_slow_one_is_left_within_ten_calls(deployment, concurrency):
    group = [deployment(name) for name in ("slow", "b", "c")]
    traffic = Traffic(group, lambda name, _: 20.0 if name == "slow" else 1.0).run(200, concurrency)
    assert traffic.order[:10].count("slow") <= 4
    assert traffic.share("slow", start=10) < 0.06


def test_one_that_turns_slow_is_left_and_taken_back_when_it_recovers(deployment):
    group = [deployment(name) for name in ("a", "b")]
    traffic = Traffic(group, lambda name, now: 20.0 if name == "a" and 50 < now < 150 else 1.0)
    traffic.run(600, 2)
    assert traffic.share("a", 0, 40) == pytest.approx(0.5, abs=0.1)
    assert traffic.share("a", 120, 180) < 0.2
    assert traffic.share("a", 500, 600) == pytest.approx(0.5, abs=0.1)


def test_one_that_hangs_is_left_though_it_never_reports(deployment):
    group = [deployment(name) for name in ("hung", "b")]
    traffic = Traffic(group, lambda name, now: 1e6 if name == "hung" and now > 20 else 1.0)
    traffic.run(2000, 64)
    hung_from = 20 * 64
    assert traffic.share("hung", 0, hung_from) == pytest.approx(0.5, abs=0.02)
    assert traffic.share("hung", hung_from + 200) < 0.05


def test_failing_fast_does_not_look_like_being_fast(deployment):
    balancer = RoundRobin(clock=lambda: 0.0)
    a, b = deployment("a"), deployment("b")
    for member, good, lasts in ((a, True, 1.0), (b, True, 1.0), *[(a, False, 0.001)] * 20):
        balancer.started(member)
        balancer.ended(member, Ending(good, lasts, error=None if good else Unavailable("x")))
    turns = [balancer.order([a, b])[0].provider for _ in range(100)]
    assert turns.count("a") == 50


def test_a_cancelled_call_teaches_nothing_and_leaves_nothing(deployment):
    balancer = RoundRobin(clock=lambda: 0.0)
    a = deployment("a")
    balancer.started(a)
    assert balancer.outstanding(a.name) == 1
    balancer.ended(a, Ending(None, 99.0))
    assert balancer.outstanding(a.name) == 0
    turns = [balancer.order([a, deployment("b")])[0].provider for _ in range(10)]
    assert turns.count("a") == 5


def test_order_keeps_every_member_and_a_group_of_one(deployment):
    balancer = RoundRobin()
    group = [deployment(f"p{i}", weight=i) for i in range(5)]
    assert sorted(d.name for d in balancer.order(group)) == sorted(d.name for d in group)
    assert balancer.order(group[:1]) == group[:1]
    assert list(balancer.order([])) == []


def test_no_more_groups_are_remembered_than_allowed(deployment):
    balancer = RoundRobin(BalancerSettings(groups=3))
    for i in range(20):
        balancer.order([deployment("a"), deployment(f"p{i}")])
    assert len(balancer._credits) == 3
