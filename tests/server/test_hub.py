"""Who listens is told what he listens for, in the order of subscription, whatever the others do."""

import logging

import pytest

from routing.events import AttemptStarted, BreakerChanged, CacheLooked, Event
from server.hub import EVERY, Hub

MISS, ASKED, OPEN = CacheLooked("miss"), AttemptStarted("a", "p", "m", 1), BreakerChanged("p#1", "p", "open", "why")


def test_an_observer_hears_its_kinds_and_one_without_kinds_everything() -> None:
    hub, some, all_ = Hub(), list[Event](), list[Event]()
    hub.subscribe(some.append, CacheLooked, BreakerChanged)
    hub.subscribe(all_.append)
    for event in (MISS, ASKED, OPEN):
        hub(event)
    assert some == [MISS, OPEN] and all_ == [MISS, ASKED, OPEN]
    assert {CacheLooked, AttemptStarted, BreakerChanged} <= set(EVERY)


def test_a_subscription_ends_alone_also_while_it_is_told() -> None:
    hub, heard = Hub(), list[str]()

    def once(event: Event) -> None:
        heard.append("once")
        end()

    end = hub.subscribe(once, CacheLooked)
    hub.subscribe(lambda _: heard.append("other"), CacheLooked)
    hub(MISS)
    hub(MISS)
    assert heard == ["once", "other", "other"]


def test_a_fault_is_logged_by_type_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    hub, heard = Hub(), list[Event]()

    def broken(event: Event) -> None:
        raise LookupError("secret")

    hub.subscribe(broken)
    hub.subscribe(heard.append)
    with caplog.at_level(logging.WARNING):
        hub(MISS)
    assert heard == [MISS] and "LookupError" in caplog.text and "secret" not in caplog.text
