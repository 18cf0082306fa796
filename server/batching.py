"""Batch files: requests in, results out, one JSON object a line. What stands in the output is done, whatever was killed.

Everything is read and written in pieces; of lines already done one bit is kept each, of ids one hash.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from pydantic import ValidationError

from routing.batch import Done, Line
from routing.errors import InvalidRequest
from routing.seen import Ids
from routing.store.sqlite.locks import taken
from routing.types import Ask
from server.complaints import complaints
from server.mcp import scrub
from server.tools.generate import Generate, ask_of, structure
from server.tools.results import facts

LONGEST = 32 << 20  # bytes of one line: a dialogue with pictures in it


class Bits:
    """A set of small numbers, a bit each."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self.count = 0

    def add(self, number: int) -> None:
        """Put it in."""
        index, bit = number >> 3, 1 << (number & 7)
        if index >= len(self._bytes):
            self._bytes.extend(bytes(max(1024, index + 1 - len(self._bytes))))
        self.count += not self._bytes[index] & bit
        self._bytes[index] |= bit

    def __contains__(self, number: int) -> bool:
        index = number >> 3
        return index < len(self._bytes) and bool(self._bytes[index] & 1 << (number & 7))


@dataclass(frozen=True, slots=True)
class Defaults:
    """What lines that do not say otherwise are asked with, as arguments of `generate`; `caller` is who asks."""

    arguments: Mapping[str, Any]
    caller: str


def name_of(file: Path, defaults: Defaults) -> str:
    """A batch's name: its file as it stands now, and what its lines are asked with. A changed file is another batch."""
    found = file.stat()
    facts = f"{file.resolve()}\0{found.st_size}\0{found.st_mtime_ns}\0{sorted(defaults.arguments.items())}"
    return hashlib.sha256(facts.encode()).hexdigest()[:20]


def fresh(name: str) -> str:
    """Another name for the same file, to ask everything anew."""
    return f"{name}-{secrets.token_hex(4)}"


def lines(file: BinaryIO, defaults: Defaults, done: Container[int]) -> Iterator[Line]:
    """The requests of a file, without those that are done. Whatever is wrong with a line is told as its fault."""
    return (line for line, _ in placed(file, defaults, done))


def placed(file: BinaryIO, defaults: Defaults, done: Container[int]) -> Iterator[tuple[Line, int]]:
    """The same, each with the byte it begins at."""
    ids = Ids()
    for number, (offset, text) in enumerate(_split(file), 1):
        if text is not None and not text.strip():
            continue
        if number not in done or text is None or b'"id"' in text:
            line = _line(number, text, defaults, ids)
            if number not in done:
                yield line, offset


def reread(file: BinaryIO, defaults: Defaults, numbers: Collection[int], offset: int) -> Iterator[Line]:
    """These lines once more; the first of them begins at `offset`."""
    file.seek(offset)
    wanted, last = frozenset(numbers), max(numbers)
    for number, (_, text) in enumerate(_split(file, offset), min(numbers)):
        if number in wanted:
            yield _line(number, text, defaults, Ids())
        if number >= last:
            return


def _split(file: BinaryIO, offset: int = 0) -> Iterator[tuple[int, bytes | None]]:
    """Where each line begins (the file stands at `offset`), and the line; None for one longer than a request can be."""
    while piece := file.readline(LONGEST + 1):
        begins, offset = offset, offset + len(piece)
        if len(piece) <= LONGEST:
            yield begins, piece
            continue
        while piece and not piece.endswith(b"\n"):
            piece = file.readline(LONGEST)
            offset += len(piece)
        yield begins, None


def _line(number: int, text: bytes | None, defaults: Defaults, ids: Ids) -> Line:
    name = str(number)
    try:
        said = _object(text)
        name = _id(said.pop("id", number))
        _unused(name, ids.first(name, number), number)
        return Line(number, name, _ask(said, defaults))
    except InvalidRequest as fault:
        return Line(number, name, fault=fault)


def _unused(name: str, first: int, number: int) -> None:
    if first != number:
        raise InvalidRequest(f"the id {name[:80]!r} was used in line {first}", hint="give every line its own id")


def _object(text: bytes | None) -> dict[str, Any]:
    if text is None:
        raise InvalidRequest(f"the line is longer than {LONGEST >> 20} MiB", hint="break the request up")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequest("the line is not JSON", hint='write one object a line, as {"prompt": "…"}') from None
    if not isinstance(said, dict):
        raise InvalidRequest("the line is no JSON object", hint='write one object a line, as {"prompt": "…"}')
    return cast("dict[str, Any]", said)


def _id(said: Any) -> str:
    if isinstance(said, str | int) and not isinstance(said, bool) and len(str(said)) <= 256:
        return str(said)
    raise InvalidRequest("the id is no text of at most 256 characters", hint='as in {"id": "q1", "prompt": "…"}')


def _ask(said: dict[str, Any], defaults: Defaults) -> Ask:
    for name in ("request_id", "explain", "format"):
        if name in said:
            raise InvalidRequest(f"`{name}` has no meaning in a batch", hint="leave it out")
    try:
        return ask_of(Generate.model_validate({**defaults.arguments, **said}), defaults.caller)
    except ValidationError as fault:
        place, what = complaints(fault, Generate, said)[0]
        hint = "the arguments are those of generate; `plenum ask --help`"
        raise InvalidRequest(f"`{place}` {what}", hint=hint) from None


def written(done: Done, batch: str) -> dict[str, Any]:
    """A result as it stands in the output."""
    head = {"line": done.line.number, "id": done.line.id, "batch": batch}
    if done.result is None:
        assert done.refusal is not None, "one of the two"
        return scrub.told_tree({**head, "error": facts(done.refusal)})
    wants = Generate.model_construct(output=dict(done.line.ask.request.schema or {}) if done.line.ask else {})
    whole = structure(done.result, wants)
    receipt = done.result.receipt
    del whole["conversation"]
    told = {"cached": receipt.cached, "simulated": receipt.simulated, "receipt": receipt.id}
    return scrub.told_tree({**head, **whole, **told, **head})


class Clash(Exception):
    """The output belongs to something else; the message says to what."""


class Outbox:
    """The output file. Opening it reads what stands there: a torn last line is cut off, every whole one is done."""

    def __init__(self, file: Path, batch: str, *, again: bool = False) -> None:
        self.batch = batch
        self.done = Bits()
        self.usd = 0.0
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        self._mine()
        end = self._read(batch)
        os.ftruncate(self._descriptor, end)
        os.lseek(self._descriptor, end, os.SEEK_SET)
        if again:
            self._without_errors(file)

    def write(self, record: Mapping[str, Any]) -> None:
        """Add a line, in one write: after it the line is done even if this process is killed."""
        data = f"{json.dumps(record, ensure_ascii=False)}\n".encode("utf-8", "replace")
        while data:
            data = data[os.write(self._descriptor, data) :]

    def close(self) -> None:
        """Bring it to the disk and let go."""
        os.fsync(self._descriptor)
        os.close(self._descriptor)

    def _mine(self) -> None:
        if not taken(self._descriptor):
            os.close(self._descriptor)
            raise Clash("another run writes to it now")

    def _read(self, batch: str) -> int:
        """Take note of what is done; where the last whole line ends. Raises Clash."""
        end = 0
        for text, record in self._records():
            if record is None:
                raise Clash("it holds lines that are no results of a batch")
            name = str(record.get("batch", ""))
            if name.partition("-")[0] != batch.partition("-")[0] or ("-" in batch and name != batch):
                raise Clash("it holds the results of another batch, or of this file as it was before")
            self.batch = batch = name
            self.done.add(int(record["line"]))
            self.usd += float(record.get("cost_usd") or 0.0)
            end += len(text)
        return end

    def _records(self) -> Iterator[tuple[bytes, dict[str, Any] | None]]:
        with os.fdopen(os.dup(self._descriptor), "rb") as reader:
            reader.seek(0)
            for text in reader:
                if not text.endswith(b"\n"):
                    return
                yield text, _record(text)

    def _without_errors(self, file: Path) -> None:
        """Write the file anew without its errors, so that those lines are asked again."""
        spare = file.with_name(file.name + ".part")
        target = os.open(spare, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        taken(target)
        self.done = Bits()
        with os.fdopen(os.dup(target), "wb") as writer:
            for text, record in self._records():
                if record is not None and "error" not in record:
                    writer.write(text)
                    self.done.add(int(record["line"]))
        os.fsync(target)
        spare.replace(file)
        os.close(self._descriptor)
        self._descriptor = target
        os.lseek(target, 0, os.SEEK_END)


def _record(text: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(text)
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    found = cast("dict[str, Any]", record)
    return found if isinstance(found.get("line"), int) and "batch" in found else None
