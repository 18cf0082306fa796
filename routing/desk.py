"""One line of a provider batch: who takes it and what it may cost, and later what its outcome means. No waiting here.

Beside `manager.py`, which makes calls: here nothing is called. Above: `deferred.py`, which hands in and collects.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

from providers.catalog import in_batch
from providers.errors import Malformed, ProviderError
from providers.types import Answer, Batcher, Batches, Outcome, Price, Request

from . import ports
from .contract import check
from .costs.pricing import Charge, Tariffs, charge, charge_broken
from .decision import Carbon, Chooser, no_carbon
from .envelope import ByteCount
from .errors import NoModel, Refusal
from .events import Answered, AttemptEnded, AttemptStarted, Observer, failed, silent, unobserved
from .filters import Filters
from .itinerary import Hop, Stop
from .settings import RoutingSettings
from .signals import Traffic
from .store.ledger import Closing
from .trip import Trip
from .types import NANO, Ask, Attempt, Deployment, Resolution, Result
from .verdict import refusal

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Planned:
    """A line that can be handed in: where, as what, and its worst case at the batch price."""

    trip: Trip
    hop: Hop
    request: Request
    bill: ports.Bill


@dataclass(slots=True)
class Landed:
    """An outcome as a receipt wants it."""

    hop: Hop
    request: Request
    partial: Answer | None
    ttft_s: float | None = None


class Desk:
    """Decides among the deployments whose provider takes batches, and reads what they bring. `clock` is monotonic."""

    def __init__(
        self,
        directory: ports.Directory,
        tariffs: Tariffs,
        *,
        settings: RoutingSettings | None = None,
        purse: ports.Purse | None = None,
        measure: ports.Measure | None = None,
        carbon: Carbon = no_carbon,
        observer: Observer = unobserved,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.wall = wall
        self._directory = directory
        self._tariffs = tariffs
        self._purse = purse or ports.NoPurse()
        self._settings = settings or RoutingSettings()
        self._filters = Filters(self._settings, self._purse, ports.NoGate(), ports.NoGuard())
        self._measure = measure or ByteCount()
        self._traffic = Traffic(clock)
        self._carbon, self._observer, self._clock = carbon, observer, clock

    def batches(self, deployment: str) -> Batches:
        """Where batches of this deployment (`provider/model`) are handed in. Raises NoModel where it is gone."""
        found = self._directory.resolve(Ask(Request(()), model=deployment))
        for step in found.steps:
            for one in step:
                if one.name == deployment and isinstance(one.opener, Batcher):
                    return one.opener.batches(one.model)
        raise NoModel(
            f"{deployment} takes no batches any more", hint="restore its configuration to collect what it has"
        )

    def plan(self, ask: Ask, pinned: str | None = None) -> Planned:
        """Who takes this ask. Raises Refusal."""
        now = self._clock()
        trip = Trip(ask.id, ask, silent, now, now + DAY_S, self.wall())
        trip.agree()
        directory = _Cheap(self._directory, pinned)
        chooser = Chooser(
            directory, self._settings, self._filters, self._traffic, self._measure, ports.InOrder(), self._carbon
        )
        trip.decision = found = chooser.decide(ask, DAY_S, 0.0)
        if not found.order:
            raise refusal((), Stop("exhausted"), trip.receipt(now), found.held)
        hop = Hop(found.order[0])
        request = trip.request_for(hop, self._purse.room_usd(ask, hop.deployment))
        return Planned(trip, hop, request, trip.bill(hop, request))

    def close(self, planned: Planned, outcome: Outcome, seconds: float) -> tuple[Closing, Result | Refusal]:
        """What to book for this outcome, and what to tell. `seconds` it took."""
        answer, trip = outcome.answer, planned.trip
        error = outcome.error or (check(answer, trip.terms) if answer is not None else Malformed("no answer came"))
        tariffs = self._tariffs_of(planned.hop.deployment)
        if error is None and answer is not None:
            found = charge(tariffs, planned.bill, answer)
        else:
            billed = error.billed if error is not None else "unknown"
            found = charge_broken(tariffs, planned.bill, billed, answer)
        self._note(planned, found, error, seconds)
        closing = Closing(
            "released" if error is not None and error.billed in ("unsent", "no") else "settled",
            found.nano,
            found.basis,
            found.usage,
            answer.model_returned if answer is not None else "",
            found.price,
            error is None,
            None,
            found.computed,
        )
        return closing, self._told(planned, answer, error)

    def _told(self, planned: Planned, answer: Answer | None, error: ProviderError | None) -> Result | Refusal:
        trip, now = planned.trip, self._clock()
        if error is not None:
            refused = refusal(
                [error], Stop("caller" if error.fault == "caller" else "exhausted"), trip.receipt(now), ()
            )
            self._observer(failed(trip.id, refused))
            return refused
        result = trip.result(now, Landed(planned.hop, planned.request, answer), self._carbon)
        self._observer(Answered(result.receipt))
        return result

    def _note(self, planned: Planned, found: Charge, error: ProviderError | None, seconds: float) -> None:
        deployment, trip = planned.hop.deployment, planned.trip
        attempt = Attempt(
            deployment.provider,
            deployment.model,
            error.kind if error is not None else "ok",
            error.message if error is not None else "",
            seconds,
            None if found.nano is None else found.nano / NANO,
            found.basis,
            found.usage,
        )
        trip.attempts.append(attempt)
        if error is not None:
            trip.errors.append(error)
        self._observer(AttemptStarted(trip.id, deployment.provider, deployment.model, 1))
        self._observer(AttemptEnded(trip.id, attempt))

    def _tariffs_of(self, deployment: Deployment) -> Tariffs:
        share = cast("Batcher", deployment.opener).batches(deployment.model).share

        def find(provider: str, model: str) -> Price | None:
            price = self._tariffs.find(provider, model)
            return in_batch(price, share) if price is not None else None

        return replace(self._tariffs, find=find)


@dataclass(frozen=True, slots=True)
class _Cheap:
    """Those who take batches, at their batch price; of a line that was handed in, the one who has it."""

    base: ports.Directory
    pinned: str | None

    def deployments(self) -> tuple[Deployment, ...]:
        return tuple(_cheap(d) for d in self.base.deployments() if isinstance(d.opener, Batcher))

    def resolve(self, ask: Ask) -> Resolution:
        found = self.base.resolve(replace(ask, model=self.pinned) if self.pinned else ask)
        steps = tuple(tuple(_cheap(d) for d in step if isinstance(d.opener, Batcher)) for step in found.steps)
        if not any(steps):
            raise NoModel(
                f"nobody behind {ask.model[:100]!r} takes batches",
                hint="name a model of OpenAI, Anthropic, Gemini or Mistral, or leave --provider-batch out",
            )
        return replace(found, steps=steps)


def _cheap(deployment: Deployment) -> Deployment:
    share = cast("Batcher", deployment.opener).batches(deployment.model).share
    price = in_batch(deployment.price, share) if deployment.price is not None else None
    return replace(deployment, price=price)
