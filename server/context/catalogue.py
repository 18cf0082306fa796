"""What is taken of an upstream: resources by pattern, prompts and read-only tools by name. Lists and reads; keeps nothing.

Descriptions are never forwarded to a model, schemas never followed; what is listed serves to choose and to pin.
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, Protocol, TypeVar, cast
from urllib.parse import quote

import mcp.types as wire
from mcp import Client

from ..config.models import ContextServer
from . import ranking
from .connection import Unavailable
from .documents import joined, words

PAGES, ITEMS = 20, 500  # of one list (guide reliability-and-security §9.4)
READS = 16  # resources read for one prompt
LARGEST = 1 << 20  # bytes a resource may say it has
Kind = Literal["resource", "prompt", "tool"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the caller wants to know."""

    prompt: str
    task: str
    terms: Sequence[str]


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing to fetch. `arguments` is JSON; `asked`: it was made for this very prompt."""

    kind: Kind
    name: str
    arguments: str = "{}"
    asked: bool = False

    @property
    def label(self) -> str:
        """Its name in receipts."""
        return self.name if self.kind == "resource" else f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class Entry:
    """A resource that may be read, and the words by which it is found."""

    uri: str
    words: Counter[str]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What an upstream has that is taken, in its own order. `definitions` are what pins are made of, by label."""

    entries: tuple[Entry, ...] = ()
    definitions: Mapping[str, Any] = field(default_factory=dict[str, Any])
    prompts: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    harmful: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


class _Page(Protocol):
    @property
    def next_cursor(self) -> str | None: ...


P = TypeVar("P", bound=_Page)
T = TypeVar("T")


async def catalogue(client: Client, table: ContextServer) -> Catalogue:
    """List what `table` takes. Raises what the client raises."""
    has = client.server_capabilities
    resources = await _resources(client, table) if has.resources else []
    tools = await _all(client.list_tools, lambda page: page.tools) if has.tools and table.tools else []
    prompts = await _all(client.list_prompts, lambda page: page.prompts) if has.prompts and table.prompts else []
    named_tools = {t.name: t for t in tools if any(t.name == said.name for said in table.tools)}
    named_prompts = {p.name: p for p in prompts if p.name in table.prompts}
    definitions = {f"tool:{name}": _plain(tool) for name, tool in named_tools.items()}
    definitions |= {f"prompt:{name}": _plain(prompt) for name, prompt in named_prompts.items()}
    return Catalogue(
        tuple(resources),
        definitions,
        {name: tuple(a.name for a in prompt.arguments or ()) for name, prompt in named_prompts.items()},
        harmful := frozenset(name for name, tool in named_tools.items() if harms(tool)),
        (
            *_missing(table, named_tools, named_prompts),
            *(f"tool {name} is not read-only, so it is not called" for name in sorted(harmful)),
        ),
    )


async def _resources(client: Client, table: ContextServer) -> list[Entry]:
    found = await _all(client.list_resources, lambda page: page.resources)
    listed = [resource for resource in found if _takes(table, resource)]
    known = {entry.uri for entry in listed}
    # What is named in full need not be listed: a template's instance, a file that came later.
    exact = [uri for uri in table.include if not any(c in uri for c in "*?[{") and uri not in known]
    return [Entry(uri, Counter(words(uri))) for uri in exact] + [_entry(resource) for resource in listed]


def _entry(resource: wire.Resource) -> Entry:
    said = (resource.uri, resource.name, resource.title or "", resource.description or "")
    return Entry(resource.uri, Counter(words(" ".join(part[:500] for part in said))))


def _takes(table: ContextServer, resource: wire.Resource) -> bool:
    if (resource.size or 0) > LARGEST or not _textual(resource.mime_type):
        return False
    wanted = any(fnmatchcase(resource.uri, shape) for shape in table.include)
    return wanted and not any(fnmatchcase(resource.uri, shape) for shape in table.exclude)


def _textual(mime: str | None) -> bool:
    return not (mime or "").startswith(("image/", "audio/", "video/", "application/octet-stream", "application/zip"))


async def _all(fetch: Callable[..., Awaitable[P]], items: Callable[[P], Sequence[T]]) -> list[T]:
    """Every item of a list, within bounds; a cursor that comes again ends it."""
    found: list[T] = []
    cursor: str | None = None
    seen: set[str] = set()
    for _ in range(PAGES):
        page = await fetch(cursor=cursor)
        found += items(page)
        cursor = page.next_cursor
        if not cursor or cursor in seen or len(found) >= ITEMS:
            break
        seen.add(cursor)
    return found[:ITEMS]


def _plain(definition: wire.Tool | wire.Prompt) -> Any:
    return definition.model_dump(mode="json", by_alias=True, exclude_none=True)


def _missing(table: ContextServer, tools: Mapping[str, Any], prompts: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"it has no tool {tool.name}" for tool in table.tools if tool.name not in tools)
    yield from (f"it has no prompt {name}" for name in table.prompts if name not in prompts)


def harms(tool: wire.Tool) -> bool:
    """Whether a tool says of itself that it changes things. One that says nothing was named by the user: it is taken."""
    hints = tool.annotations
    return hints is not None and (hints.read_only_hint is False or hints.destructive_hint is True)


def pieces(found: Catalogue, table: ContextServer, asked: Asked) -> Sequence[Piece]:
    """What to fetch for this prompt: named tools and prompts, and the resources nearest to it."""
    tools = [
        Piece("tool", tool.name, *_filled(tool.arguments, asked))
        for tool in table.tools
        if f"tool:{tool.name}" in found.definitions and tool.name not in found.harmful
    ]
    prompts = [
        Piece("prompt", name, *_filled({key: f"{{{key}}}" for key in arguments if key in ("prompt", "task")}, asked))
        for name, arguments in found.prompts.items()
    ]
    searches = [
        Piece("resource", _addressed(uri, asked), asked=True)
        for uri in table.include
        if "{prompt}" in uri or "{task}" in uri
    ]
    return [*tools, *prompts, *searches, *_nearest(found.entries, asked)]


def _nearest(entries: Sequence[Entry], asked: Asked) -> Sequence[Piece]:
    if len(entries) > READS:
        scores = ranking.scores(asked.terms, (entry.words for entry in entries))
        best = sorted(range(len(entries)), key=lambda i: (-scores[i], i))[:READS]
        entries = [entries[i] for i in sorted(best)]
    return [Piece("resource", entry.uri) for entry in entries]


def _filled(arguments: Mapping[str, Any], asked: Asked) -> tuple[str, bool]:
    """The arguments with `{prompt}` and `{task}` filled in, as JSON, and whether there was anything to fill."""
    filled = _tree(arguments, asked)
    return json.dumps(filled, sort_keys=True), filled != arguments


def _tree(value: Any, asked: Asked) -> Any:
    if isinstance(value, str):
        return value.replace("{prompt}", asked.prompt).replace("{task}", asked.task)
    if isinstance(value, dict):
        return {key: _tree(each, asked) for key, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_tree(each, asked) for each in cast("list[Any]", value)]
    return value


def _addressed(uri: str, asked: Asked) -> str:
    return uri.replace("{prompt}", quote(asked.prompt[:500], safe="")).replace("{task}", quote(asked.task, safe=""))


async def text(client: Client, piece: Piece) -> str:
    """The text of a piece. Raises Unavailable where there is none, and what the client raises."""
    arguments = json.loads(piece.arguments)
    match piece.kind:
        case "resource":
            read = await client.read_resource(piece.name)
            parts = [c.text for c in read.contents if isinstance(c, wire.TextResourceContents)]
        case "prompt":
            got = await client.get_prompt(piece.name, arguments or None)
            parts = [part for message in got.messages for part in _texts([message.content])]
        case "tool":
            parts = await _called(client, piece.name, arguments)
    if not parts:
        raise Unavailable(f"{piece.label} gave no text")
    return joined(parts)


async def _called(client: Client, name: str, arguments: dict[str, Any]) -> list[str]:
    # Not `client.call_tool`: it would validate by a schema of theirs, and list tools after the call.
    params = wire.CallToolRequestParams(name=name, arguments=arguments)
    result = await client.session.send_request(wire.CallToolRequest(params=params), wire.CallToolResult)
    if result.is_error:
        raise Unavailable(f"tool:{name} answered with an error")
    found = list(_texts(result.content))
    if not found and result.structured_content is not None:
        return [json.dumps(result.structured_content, ensure_ascii=False, sort_keys=True, indent=1)]
    return found


def _texts(blocks: Sequence[Any]) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, wire.TextContent):
            yield block.text
        elif isinstance(block, wire.EmbeddedResource) and isinstance(block.resource, wire.TextResourceContents):
            yield block.resource.text
