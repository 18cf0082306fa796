"""What a caller may put into a request: bounded, without characters that hide, with secrets as the policy says.

A step of `routing.prepared`, before anything is looked up, stored or paid. Text is never cut silently: whatever was
changed or looks odd is a warning of the receipt.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, cast

from providers.types import Message, Part, Reasoning, Request, Text, ToolCall, ToolResult
from routing.errors import HoldsSecrets, InvalidRequest
from routing.types import Ask

from .gated import holds
from .phrases import injections
from .redaction import MARK, Redactor
from .shapes import SECRETS, SIGNS

DEEPEST, MOST_SUBSCHEMAS = 32, 1000  # of schemas and tool parameters (guide reliability-and-security §8.1)
Policy = Literal["redact", "ask", "refuse", "allow"]
# Invisible and never meant: C0 but for tab and line ends, DEL, C1, bidirectional controls, byte order marks inside, and
# tag characters outside of a flag. Joiners and direction marks stay: Persian, Hindi and emoji need them.
_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]")
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]{1,16}\U000e007f")
_LONE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Sanitiser:
    """Limits are characters of one message and messages of one request."""

    redactor: Redactor
    policy: Policy = "redact"
    longest: int = 100_000
    most: int = 100

    async def __call__(self, ask: Ask) -> Ask:
        """The ask made safe, with warnings. Raises InvalidRequest and HoldsSecrets."""
        request = ask.request
        self._bound(request)
        for schema in (request.schema, *(tool.parameters for tool in request.tools)):
            if schema is not None:
                modest(schema)
        notes = dict[str, int]()
        policy = "allow" if ask.secrets_allowed else self.policy
        clean = partial(self._clean, policy, notes)
        system = clean(request.system) if request.system else ""
        messages = tuple(_mapped(message, clean) for message in request.messages)
        warnings = tuple(_words(what, count) for what, count in notes.items())
        if not warnings:
            return ask
        return replace(
            ask, request=replace(request, system=system, messages=messages), warnings=(*ask.warnings, *warnings)
        )

    def _bound(self, request: Request) -> None:
        if len(request.messages) > self.most:
            raise InvalidRequest(
                f"`messages` holds {len(request.messages)} messages; at most {self.most} are taken.",
                hint="Send the newest ones, or raise [security] max_messages.",
            )
        longest = max(map(_length, request.messages), default=0)
        if max(longest, len(request.system)) > self.longest:
            raise InvalidRequest(
                f"A message has {max(longest, len(request.system)):,} characters; at most {self.longest:,} are taken.",
                hint="Shorten it, or raise [security] max_message_chars.",
            )

    def _clean(self, policy: Policy, notes: dict[str, int], text: str) -> str:
        text = _visible(text, notes)
        if policy != "allow":
            text = self._without_secrets(policy, notes, text)
        for phrase in injections(text):
            _count(notes, f"injection:{phrase}", 1)
        return text

    def _without_secrets(self, policy: Policy, notes: dict[str, int], text: str) -> str:
        found = {"key of this server": text.count(MARK)}
        safe = self.redactor.known(text)
        found["key of this server"] = safe.count(MARK) - found["key of this server"]
        if holds(safe, SIGNS):
            for kind, pattern in SECRETS.items():
                safe, found[kind] = pattern.subn(MARK, safe)
        kinds = [kind for kind, count in found.items() if count > 0]
        if not kinds:
            return text
        if policy != "redact":
            raise HoldsSecrets(
                f"The prompt seems to hold a secret ({', '.join(kinds)}), and nothing was sent.",
                hint='Take it out, or have [security] secrets set to "redact" or "allow".',
                may_ask=policy == "ask",
            )
        for kind in kinds:
            _count(notes, f"secret:{kind}", found[kind])
        return safe


def _visible(text: str, notes: dict[str, int]) -> str:
    if text.isascii() and text.isprintable():
        return text
    text, lone = _LONE.subn("\ufffd", text)
    flags = _FLAG.findall(text)
    parts = _FLAG.split(text) if flags else [text]
    cleaned = [_HIDDEN.subn("", part) for part in parts]
    _count(notes, "hidden", lone + sum(count for _, count in cleaned))
    joined = [piece for (part, _), flag in zip(cleaned, [*flags, ""], strict=True) for piece in (part, flag)]
    return "".join(joined)


def _count(notes: dict[str, int], what: str, count: int) -> None:
    if count:
        notes[what] = notes.get(what, 0) + count


def _words(what: str, count: int) -> str:
    kind, _, name = what.partition(":")
    if kind == "secret":
        return f"{count} secret(s) in the prompt ({name}) were replaced before it was sent"
    if kind == "injection":
        return f"the prompt holds a known injection phrase ({name}); it was sent unchanged"
    return f"{count} invisible control character(s) were taken out of the prompt"


def _mapped(message: Message, clean: Callable[[str], str]) -> Message:
    parts = tuple(_part(part, clean) for part in message.parts)
    return message if parts == message.parts else replace(message, parts=parts)


def _part(part: Part, clean: Callable[[str], str]) -> Part:
    match part:
        case Text(text=text) | ToolResult(text=text):
            safe = clean(text)
            return part if safe == text else replace(part, text=safe)
        case ToolCall(arguments=arguments):
            safe = clean(arguments)
            return part if safe == arguments else replace(part, arguments=safe)
        case _:
            return part


def _length(message: Message) -> int:
    return sum(map(_size, message.parts))


def _size(part: Part) -> int:
    match part:
        case Text(text=text) | ToolResult(text=text) | Reasoning(text=text):
            return len(text)
        case ToolCall(arguments=arguments):
            return len(arguments)
        case _:
            return 0


def modest(schema: Any) -> None:
    """Raises InvalidRequest for a schema that is too deep, too large, or points outside of itself."""
    for count, (depth, node) in enumerate(_nodes(schema), 1):
        if depth > DEEPEST or count > MOST_SUBSCHEMAS:
            raise InvalidRequest(
                f"A schema may be {DEEPEST} levels deep and have {MOST_SUBSCHEMAS} parts.", hint="Simplify it."
            )
        target = node.get("$ref", node.get("$dynamicRef", "#"))
        if not (isinstance(target, str) and target.startswith("#")):
            raise InvalidRequest(
                "A schema's `$ref` may point into the schema itself only: nothing is fetched.",
                hint="Put what it points to into `$defs`.",
            )


def _nodes(schema: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Every table in it with its depth; a walk without recursion, so that depth cannot hurt."""
    waiting: list[tuple[int, Any]] = [(1, schema)]
    while waiting:
        depth, node = waiting.pop()
        if isinstance(node, Mapping):
            table = cast("Mapping[str, Any]", node)
            yield depth, table
            waiting.extend((depth + 1, value) for value in table.values())
        elif isinstance(node, list | tuple):
            waiting.extend((depth + 1, value) for value in cast("Sequence[Any]", node))
