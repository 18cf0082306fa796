"""Context as a step of an ask: who is asked for it, what of it goes in, what the receipt says. Owns the upstreams.

`contexts()` opens it; `adopt` puts a configuration in force, on and on; `add` is the step between replay and cache,
`foresee` the same from what is here already (`explain`). Nothing an upstream does is raised to an ask.
"""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from providers.catalog.tokens import encoding
from routing.background import background
from routing.errors import InvalidRequest, Refusal
from routing.events import Observer, unobserved
from routing.ports import Directory
from routing.types import Ask, ContextUse

from ..config import Loaded
from ..proxies import proxies
from . import fence, ranking
from .catalogue import Asked
from .connection import Connection, Dial
from .documents import Document
from .nearness import Embed, Nearness
from .packing import Budget, Excerpt, Sought, pack
from .pins import Pins, written
from .process import Program, Streams, process
from .shelf import Gathered, Shelf
from .upstreams import DEPTH, Upstream, upstreams

KEY = "context.key"
PINS = "context-pins.json"
REMEMBERED = 256  # packed prompts


@dataclass(frozen=True, slots=True)
class UpstreamView:
    """How one upstream does, for `plenum://context`."""

    server: str
    transport: str
    state: str
    trust: str
    protocol: str
    pieces: int
    asks: int
    tokens_served: int
    last_error: str
    awaiting_approval: tuple[str, ...]


class _Place:
    """A running upstream."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.scope = anyio.CancelScope()
        self.asks = 0
        self.tokens = 0


class Contexts:
    """The upstreams of the configuration in force."""

    def __init__(
        self,
        tasks: TaskGroup,
        data: Path,
        environment: Mapping[str, str],
        observer: Observer,
        *,
        loud: bool = False,
        asleep: str = "",
    ) -> None:
        self._loud = loud
        self._tasks, self._observer = tasks, observer
        self._asleep = asleep if environment.get(DEPTH, "0") in ("", "0") else "Plenum runs inside Plenum"
        self._proxies = proxies(environment)
        self._pins = Pins(data / PINS)
        self._data = data
        self._key = b""
        self._places: dict[str, _Place] = {}
        self._known: Sequence[Upstream] = ()
        self._total = 0
        self._directory: Directory | None = None
        self._packed: OrderedDict[bytes, list[Excerpt]] = OrderedDict()
        self._embed: Embed | None = None
        self._nearness = Nearness(lambda: self._embed)

    def adopt(self, loaded: Loaded, directory: Directory | None, embed: Embed | None = None) -> None:
        """Put a configuration in force: start who is new, end who is gone, leave the rest alone. Raises ConfigFault.

        `embed` makes vectors where the configuration wants texts ranked by meaning too.
        """
        self._embed = embed if loaded.config.context.ranking == "meaning" else None
        known = upstreams(loaded)
        wanted = {} if self._asleep else {upstream.name: upstream for upstream in known if not upstream.skip}
        for name in [name for name, place in self._places.items() if wanted.get(name) != place.shelf.upstream]:
            self._places.pop(name).scope.cancel()
        started = {name: self._places.get(name) or self._start(upstream) for name, upstream in wanted.items()}
        self._places = started
        self._known, self._directory, self._total = known, directory, loaded.config.context.max_tokens
        if started and not self._key:
            self._key = _kept_key(self._data)
            self._tasks.start_soon(anyio.to_thread.run_sync, encoding)

    def _start(self, upstream: Upstream) -> _Place:
        shelf = Shelf(upstream, self._pins, self._tasks, observer=self._observer)
        mode = upstream.table.mode
        shelf.connection = Connection(dial(upstream, self._proxies, loud=self._loud), mode=mode, heard=shelf.heard)
        place = _Place(shelf)
        self._tasks.start_soon(_kept, place)
        return place

    async def add(self, ask: Ask) -> Ask:
        """The ask with what its sources know. Raises InvalidRequest for a source nobody has."""
        chosen = self._chosen(ask)
        if not chosen.places:
            return self._without(ask, chosen)
        asked, patience = _asked(ask), _patience(ask)
        found: dict[str, Gathered] = {}

        async def gather(name: str, shelf: Shelf) -> None:
            found[name] = await shelf.gather(asked, patience)

        async with anyio.create_task_group() as tasks:
            for name, place in chosen.places.items():
                tasks.start_soon(gather, name, place.shelf)
        inorder = {name: found[name] for name in chosen.places}
        documents = [document for gathered in inorder.values() for document in self._trusted(gathered)]
        private = any(self._trust(document.server) == "local" for document in documents)
        warnings = await self._nearness.learn(ask, asked.prompt, documents, private=private)
        told = self._with(
            replace(ask, warnings=(*ask.warnings, *warnings)) if warnings else ask, asked, chosen, inorder
        )
        for use in told.context:
            if use.resources:
                self._places[use.server].asks += 1
                self._places[use.server].tokens += use.tokens
        return told

    async def foresee(self, ask: Ask) -> Ask:
        """The same from what is here already: asks nobody."""
        chosen = self._chosen(ask)
        if not chosen.places:
            return self._without(ask, chosen)
        asked = _asked(ask)
        return self._with(ask, asked, chosen, {name: place.shelf.here(asked) for name, place in chosen.places.items()})

    async def settled(self, ask: Ask, seconds: float) -> None:
        """Give the sources named by this ask time to start: for a command, which finds nothing warm."""
        chosen = self._chosen(ask)
        with anyio.move_on_after(seconds):
            for name in chosen.named & set(chosen.places):
                if (connection := chosen.places[name].shelf.connection) is not None:
                    await connection.settled()

    def view(self) -> Sequence[UpstreamView]:
        """How every configured upstream does, in the order of the file."""
        return [self._view(upstream) for upstream in self._known]

    def _view(self, upstream: Upstream) -> UpstreamView:
        place = self._places.get(upstream.name)
        connection = place.shelf.connection if place is not None else None
        skipped = upstream.skip or self._asleep
        return UpstreamView(
            upstream.name,
            "http" if upstream.url else "stdio",
            "off" if connection is None else connection.state,
            upstream.table.trust,
            connection.protocol if connection is not None else "",
            place.shelf.size if place is not None else 0,
            place.asks if place is not None else 0,
            place.tokens if place is not None else 0,
            connection.error if connection is not None else skipped,
            tuple(place.shelf.changed) if place is not None else (),
        )

    def _chosen(self, ask: Ask) -> "_Chosen":
        if "none" in ask.sources or (not self._known and ask.sources == ("auto",)):
            return _Chosen(frozenset(), {}, ())
        named = frozenset(ask.sources) - {"auto"}
        off = {upstream.name: upstream.skip for upstream in self._known if upstream.name not in self._places}
        if strangers := named - set(off) - set(self._places):
            raise _unknown(min(strangers), [upstream.name for upstream in self._known])
        auto = "auto" in ask.sources
        places = {n: place for n, place in self._places.items() if n in named or (auto and self._may(ask, place))}
        idle = [(name, off[name] or "Plenum runs inside Plenum") for name in sorted(named & set(off))]
        return _Chosen(named, places, tuple(ContextUse(name, warnings=(f"not asked: {why}",)) for name, why in idle))

    def _may(self, ask: Ask, place: _Place) -> bool:
        """Unasked, a source that must stay on this machine is used only where a model on this machine may answer."""
        if place.shelf.upstream.table.trust != "local":
            return True
        if self._directory is None:  # nobody is going to be asked
            return True
        try:
            steps = self._directory.resolve(ask).steps
        except Refusal:
            return False
        return any(deployment.local for step in steps for deployment in step)

    def _without(self, ask: Ask, chosen: "_Chosen") -> Ask:
        return replace(ask, context=chosen.idle) if chosen.idle else ask

    def _with(self, ask: Ask, asked: Asked, chosen: "_Chosen", found: Mapping[str, Gathered]) -> Ask:
        documents = [document for gathered in found.values() for document in self._trusted(gathered)]
        excerpts = self._pack(asked, documents, chosen.named) if documents else []
        uses = (*self._uses(found, excerpts, chosen.named), *chosen.idle)
        if not excerpts:
            return replace(ask, context=uses)
        private = any(self._trust(excerpt.document.server) == "local" for excerpt in excerpts)
        request = fence.fenced(ask.request, excerpts, self._key)
        return replace(ask, request=request, context=uses, local_only=ask.local_only or private)

    def _trust(self, server: str) -> str:
        return self._places[server].shelf.upstream.table.trust

    def _trusted(self, gathered: Gathered) -> Iterator[Document]:
        for document in gathered.documents:
            if not (document.flags and self._trust(document.server) == "quarantine"):
                yield document

    def _pack(self, asked: Asked, documents: Sequence[Document], named: frozenset[str]) -> list[Excerpt]:
        limits = {name: place.shelf.upstream.table.max_tokens for name, place in self._places.items()}
        said = repr(
            (
                asked.terms,
                asked.prompt if self._nearness.knows(asked.prompt) else "",
                sorted(named),
                [(d.server, d.label, d.print) for d in documents],
                self._total,
                limits,
            )
        )
        key = hashlib.sha256(said.encode("utf-8", "replace")).digest()
        if (known := self._packed.get(key)) is None:
            sought = Sought(asked.terms, self._nearness.likeness(asked.prompt, documents))
            known = self._packed[key] = pack(sought, documents, named, Budget(self._total, limits))
        self._packed.move_to_end(key)
        if len(self._packed) > REMEMBERED:
            self._packed.popitem(last=False)
        return known

    def _uses(
        self, found: Mapping[str, Gathered], excerpts: Sequence[Excerpt], named: frozenset[str]
    ) -> Iterator[ContextUse]:
        for name, gathered in found.items():
            taken = [excerpt for excerpt in excerpts if excerpt.document.server == name]
            labels = tuple(dict.fromkeys(excerpt.document.label for excerpt in taken))
            warnings = (*gathered.warnings, *_flagged(gathered.documents, taken, self._trust(name)))
            if taken or warnings or name in named:
                why = (
                    "what it has is there already or does not fit" if gathered.documents else "it has nothing for this"
                )
                nothing = () if taken or warnings else (why,)
                yield ContextUse(name, labels, sum(e.tokens for e in taken), (*warnings, *nothing))


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Whom an ask wants: names said outright, who is running, and who was named but is off."""

    named: frozenset[str]
    places: Mapping[str, _Place]
    idle: tuple[ContextUse, ...]


@asynccontextmanager
async def contexts(
    data: Path,
    environment: Mapping[str, str],
    observer: Observer = unobserved,
    *,
    loud: bool = False,
    asleep: str = "",
) -> AsyncGenerator[Contexts]:
    """Open it; on the way out every upstream is closed, and no child of ours is left.

    `loud`: their stderr is ours. `asleep`: why none shall be started.
    """
    async with background() as tasks:
        yield Contexts(tasks, data, environment, observer, loud=loud, asleep=asleep)


def dial(upstream: Upstream, proxy: Callable[[str], str | None], *, loud: bool = False) -> Dial:
    """How to reach it. A child gets its entry's environment and a depth, and none of ours."""
    if upstream.url:
        return partial(_web, upstream, proxy(upstream.url))
    program = Program(upstream.command, {**upstream.environment, DEPTH: "1"}, upstream.cwd, loud)
    return partial(process, program)


@asynccontextmanager
async def _web(upstream: Upstream, proxy: str | None) -> AsyncGenerator[Streams]:
    from .web import web  # a second HTTP client: only for those who have such an upstream

    async with web(upstream.url, upstream.headers, proxy) as streams:
        yield streams


async def _kept(place: _Place) -> None:
    assert place.shelf.connection is not None
    with place.scope:
        await place.shelf.connection.run()


def _patience(ask: Ask) -> float:
    """Seconds an ask waits for its sources at most: a quarter of what it has, so that the rest can answer."""
    return min(limit for limit in (ask.deadline_s, ask.max_latency_s, float("inf")) if limit is not None) / 4


def _asked(ask: Ask) -> Asked:
    prompt = next((turn.text for turn in reversed(ask.request.messages) if turn.role == "user"), "")
    return Asked(prompt, ask.task or "", ranking.terms(prompt))


def _flagged(documents: Sequence[Document], taken: Sequence[Excerpt], trust: str) -> Iterator[str]:
    shown = {excerpt.document.label for excerpt in taken}
    for document in documents:
        if document.flags and (document.label in shown or trust == "quarantine"):
            what = "left out" if trust == "quarantine" else "treated as data"
            yield f"{document.label}: {', '.join(document.flags)}; {what}"


def _unknown(name: str, known: Sequence[str]) -> InvalidRequest:
    nearest = get_close_matches(name, known, n=1)
    names = f"Configured are: {', '.join(known)}." if known else "None is configured: `plenum context add` adds one."
    hint = f"Did you mean {nearest[0]!r}? {names}" if nearest else names
    return InvalidRequest(f"there is no context server {name[:64]!r}", hint=hint)


def _kept_key(data: Path) -> bytes:
    """What marks are keyed with: this installation's, so that the same material keeps its bytes over restarts."""
    file = data / KEY
    try:
        if len(known := file.read_bytes()) == 32:
            return known
    except FileNotFoundError:
        pass
    made = secrets.token_bytes(32)
    written(file, made)
    return made
