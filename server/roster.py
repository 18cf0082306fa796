"""From seats to deployments: an `HttpProvider` per seat, a `Deployment` per model, limits and weights as configured."""

import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from providers import batches
from providers.catalog import Override, card, group, price
from providers.catalog.published import NOTHING, Published
from providers.dialects import load
from providers.http import Http, HttpProvider, Timeouts
from providers.http.provider import Route
from providers.types import Listed, ModelCard, Price, Provider
from routing.types import Deployment

from .config.models import ModelFilter, ModelTable, PriceTable
from .seats import Seat

Now = Callable[[], datetime]


def _utc() -> datetime:
    return datetime.now(UTC)


CARDS = 1024  # ids remembered: callers may name any


@dataclass(frozen=True, slots=True)
class Wires:
    """What providers share: the engine, the proxy for a URL, the clock prices go by, the price table a user fetched."""

    http: Http
    proxy: Callable[[str], str | None] = lambda _: None
    now: Now = _utc
    published: Callable[[], Published] = lambda: NOTHING


class Roster:
    """Deployments of one seat. `adopt` makes one for any other id the user names exactly."""

    def __init__(self, seat: Seat, wires: Wires, listed: Sequence[Listed] = (), opener: Provider | None = None) -> None:
        self.seat = seat
        self._wires = wires
        self._listed = {entry.id: entry for entry in listed}
        models = seat.table.models
        self._tables = {m.id: m for m in models} if isinstance(models, tuple) else dict[str, ModelTable]()
        self._filter = models if isinstance(models, ModelFilter) else ModelFilter()
        self.opener: Provider = opener or self._http(seat.dialect)
        self._other: Provider | None = None
        self._cards: dict[str, ModelCard] = {}

    def deployments(self) -> Iterator[Deployment]:
        """One per model that is offered without being named: the user's, else the live list, else the catalogue's."""
        offered = tuple(self._tables) or tuple(self._listed) or (self.seat.row.models if self.seat.row else ())
        for model in offered:
            if self._allowed(model):
                yield self.deployment(model)

    def adopt(self, model: str) -> Deployment | None:
        """A deployment for an id nobody listed, None where the configuration denies it."""
        return self.deployment(model) if self._allowed(model) else None

    def deployment(self, model: str) -> Deployment:
        """The deployment of this model id."""
        seat, said = self.seat, self._tables.get(model)
        known = self.card(model)
        missing = seat.needs_key and seat.key() is None
        return Deployment(
            provider=seat.name,
            model=model,
            endpoint=seat.endpoint,
            card=known,
            price=_price(said.price) if said and said.price else self._price(model, said),
            opener=self._opener(known),
            priority=seat.table.priority,
            weight=seat.table.weight,
            group=group(seat.row.name if seat.row else seat.name, said.base if said and said.base else model),
            region=seat.region,
            local=seat.local,
            status="no_key" if missing else "retired" if _gone(known, self._wires.now()) else "available",
            zone=seat.zone,
        )

    def card(self, model: str) -> ModelCard:
        """What is known of this id at this seat; asked for at every call."""
        if (known := self._cards.get(model)) is None:
            if len(self._cards) >= CARDS:
                self._cards.clear()
            known = self._cards[model] = self._card(model)
        return known

    def _card(self, model: str) -> ModelCard:
        said = self._tables.get(model)
        override = (
            Override(
                context_window=said.context_window,
                max_output=said.max_output,
                capabilities=said.capabilities,
                quality=_quality(said.quality),
                base=said.base,
                family=said.family,
            )
            if said
            else None
        )
        name = self.seat.row.name if self.seat.row else self.seat.name
        found = card(name, model, self._listed.get(model), override)
        return _flagged(found, self.seat.table.quirks)

    def _price(self, model: str, said: ModelTable | None) -> Price | None:
        if self.seat.local:
            return Price(0.0, 0.0, source="local")
        name = self.seat.row.name if self.seat.row else self.seat.name
        base = said.base if said and said.base else model
        return price(name, base, self._wires.now(), self._listed.get(model), self._wires.published())

    def _allowed(self, model: str) -> bool:
        allow, deny = self._filter.allow, self._filter.deny
        return any(fnmatchcase(model, p) for p in allow) and not any(fnmatchcase(model, p) for p in deny)

    @property
    def paths(self) -> Mapping[str, str]:
        """Model files by id (dialect `local`)."""
        return {model.id: model.path for model in self._tables.values() if model.path}

    def _opener(self, known: ModelCard) -> Provider:
        """The seat's provider, in its other dialect where the model is to be had in that alone."""
        also = self.seat.row.also if self.seat.row else ()
        if "responses_only" not in known.flags or self.seat.table.dialect or "openai_responses" not in also:
            return self.opener
        self._other = self._other or self._http("openai_responses")
        return self._other

    def _http(self, dialect: str) -> Provider:
        seat, table = self.seat, self.seat.table
        headers = dict(table.headers)
        if table.organization:
            headers["OpenAI-Organization"] = table.organization
        tls = ssl.create_default_context(cafile=table.ca_bundle) if table.ca_bundle else None
        route = Route(
            seat.base_url,
            headers,
            tls,
            None if seat.local else self._wires.proxy(seat.base_url),
            "api-key" if seat.row and seat.row.auth == "api-key" and dialect.startswith("openai") else "",
        )
        timeouts = Timeouts(idle=table.timeout_s)
        found = table.batch or (seat.row.batch if seat.row else "")
        return HttpProvider(
            self._wires.http,
            load(dialect),
            route,
            card=self.card,
            key=seat.key,
            timeouts=timeouts,
            batch=batches.load(found) if found else None,
        )


def _flagged(known: ModelCard, quirks: tuple[str, ...]) -> ModelCard:
    if not quirks:
        return known
    return replace(known, flags=known.flags | frozenset(quirks))


def _quality(said: float | dict[str, float] | None) -> Mapping[str, float] | None:
    return {"default": said} if isinstance(said, int | float) else said


def _price(said: PriceTable) -> Price:
    return Price(said.input, said.output, said.cached_input, said.cache_write, source="configuration")


def _gone(known: ModelCard, now: datetime) -> bool:
    return known.retires is not None and known.retires <= now.date().isoformat()
