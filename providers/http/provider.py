"""HttpProvider = engine + dialect + URL + key. Satisfies Provider, and Embedder, Lister, TokenCounter, Batcher where its
dialect (or its batch endpoint) speaks of them: those methods exist only then, so that `isinstance(provider, Embedder)`
tells the truth.
"""

import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ..batches import BatchWire
from ..dialects import Call, CountDialect, Dialect, EmbedDialect, ListDialect, read_json
from ..errors import BadRequest, Malformed
from ..types import Embeddings, Listed, ModelCard, Request, Stream
from .batching import HttpBatches
from .exchange import Exchange
from .reading import SHAPE, document
from .session import Http, Reply
from .silence import Silence
from .stream import HttpStream

if TYPE_CHECKING:
    from .engine import Engine, Form

T = TypeVar("T")

MAX_PAGES = 50  # of a model list; the longest known has 7
MOST_FORMS = 64  # prepared requests; some paths name a model, or a batch

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
# Asked for explicitly, so that nobody in between adds its own: no compression (a bomb is refused before it is opened).
_ALWAYS = {"accept-encoding": "identity", "user-agent": "plenum"}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `idle` is the longest silence without content: up to the first token, and between contents."""

    connect: float = 5.0
    idle: float = 60.0
    total: float = 900.0


@dataclass(frozen=True, slots=True)
class Route:
    """How a provider's host is reached. `tls` and `proxy` are None for the process's own trust store and no proxy.

    `key_header` takes the key in place of the dialect's header (Azure's `api-key`); access tokens (JWT) stay bearer tokens.
    """

    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    tls: ssl.SSLContext | None = None
    proxy: str | None = None
    key_header: str = ""


class HttpProvider:
    """One provider as configured. `key` is asked at every call, so that keys can rotate; None sends none.

    `card` gives what is known of a model id; its flags steer the dialect.
    """

    def __init__(
        self,
        http: Http,
        dialect: Dialect,
        route: Route,
        *,
        card: Callable[[str], ModelCard],
        key: Callable[[], str | None] = lambda: None,
        timeouts: Timeouts = Timeouts(),
        batch: BatchWire | None = None,
    ) -> None:
        self.dialect = dialect
        self._http = http
        self._route = route
        self._base = route.base_url.rstrip("/") + "/"
        self.card = card
        self._key = key
        self._timeouts = timeouts
        self._forms: dict[tuple[object, ...], Form] = {}
        self._forms_key: str | None = None
        if hasattr(dialect, "render_embed"):
            self.embed = partial(_embed, self, cast("EmbedDialect", dialect))
        if hasattr(dialect, "render_list"):
            self.models = partial(_models, self, cast("ListDialect", dialect))
        if hasattr(dialect, "render_count"):
            self.count = partial(_count, self, cast("CountDialect", dialect))
        if batch is not None:
            self.batches = partial(HttpBatches, self, batch)

    def open(self, request: Request, model: str) -> AbstractAsyncContextManager[Stream]:
        """Ask `model`. Leaving early closes the connection at once."""
        return _Question(self, request, self.card(model))

    async def fetch(self, call: Call) -> Any:
        """Send a call that is answered by one JSON document, and read that. Raises ProviderError."""
        silence = self.silence()
        async with self.sent(call, silence) as reply:
            return read_json(await document(reply, silence))

    def silence(self) -> Silence:
        """The clock of one call, started."""
        return Silence(self._timeouts.idle, self._timeouts.total)

    def sent(self, call: Call, silence: Silence) -> Exchange:
        """Send, wait for the head, refuse everything but success; whatever happens then, close."""
        return Exchange(partial(self._send, call), self.dialect, silence)

    async def _send(self, call: Call) -> Reply:
        engine = self._http.engine(self._route.tls, self._route.proxy)
        return await engine.send(self._form(engine, call), _body(call))

    def _form(self, engine: "Engine", call: Call) -> "Form":
        """Prepared once for each path and kind of body; a new key begins anew, so that an old one is not kept."""
        key, kind = self._key(), (call.method, call.path, call.body is None, *call.headers.items())
        if key != self._forms_key or len(self._forms) >= MOST_FORMS:
            self._forms.clear()
            self._forms_key = key
        form = self._forms.get(kind)
        if form is None:
            url = self._base + call.path.lstrip("/")
            form = self._forms[kind] = engine.form(call.method, url, self._headers(call, key), self._timeouts.connect)
        return form

    def _headers(self, call: Call, key: str | None) -> Mapping[str, str]:
        kind = {"content-type": "application/json"} if call.body is not None else {}  # FastAPI's strict mode: else 422
        return {**_ALWAYS, **kind, **self._signed(key), **call.headers, **self._route.headers}

    def _signed(self, key: str | None) -> Mapping[str, str]:
        if key is None or not self._route.key_header or key.startswith("eyJ"):
            return self.dialect.headers(key)
        return {**self.dialect.headers(None), self._route.key_header: key}


class _Question:
    """What `open` returns: entering asks, leaving closes."""

    __slots__ = ("_card", "_exchange", "_provider", "_request")

    def __init__(self, provider: HttpProvider, request: Request, card: ModelCard) -> None:
        self._provider = provider
        self._request = request
        self._card = card

    async def __aenter__(self) -> HttpStream:
        provider, card = self._provider, self._card
        call = provider.dialect.render(self._request, card, stream="streaming" in card.capabilities)
        silence, fold = provider.silence(), provider.dialect.fold(card)
        self._exchange = provider.sent(call, silence)
        return HttpStream(await self._exchange.__aenter__(), fold, silence, call.warnings)

    async def __aexit__(self, *_: object) -> None:
        self._exchange.close()


def _body(call: Call) -> bytes | None:
    if call.raw is not None or call.body is None:
        return call.raw
    try:
        return _encode(call.body).encode("utf-8", "replace")  # a lone surrogate becomes "?", as it would on a screen
    except (ValueError, TypeError, RecursionError):
        raise BadRequest(
            "The request cannot be written as JSON: look for NaN, or for a schema that holds itself."
        ) from None


async def _parsed(provider: HttpProvider, call: Call, parse: Callable[[Any], T]) -> T:
    body = await provider.fetch(call)
    try:
        return parse(body)
    except SHAPE:
        raise Malformed("The provider's answer has a shape nobody can read.") from None


async def _embed(provider: HttpProvider, dialect: EmbedDialect, texts: Sequence[str], model: str) -> Embeddings:
    return await _parsed(provider, dialect.render_embed(texts, model), dialect.parse_embed)


async def _count(provider: HttpProvider, dialect: CountDialect, request: Request, model: str) -> int:
    return await _parsed(provider, dialect.render_count(request, provider.card(model)), dialect.parse_count)


async def _models(provider: HttpProvider, dialect: ListDialect) -> Sequence[Listed]:
    found: list[Listed] = []
    call = dialect.render_list()
    for _ in range(MAX_PAGES):
        listed, following = await _parsed(provider, call, dialect.parse_list)
        found.extend(listed)
        if following is None:
            break
        call = replace(call, path=following)
    return found
