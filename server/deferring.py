"""What a provider batch leaves on disk: a line per step of each job, in the user's data folder, and the file it reads.

`<data>/batches/<batch>.jsonl` is there as long as something is. Each line is on the disk before the next step is taken.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import TypeAdapter, ValidationError

from routing.batch import Line
from routing.store.sqlite.locks import taken
from routing.tray import Job, Joined

from .batching import Bits, Clash, Defaults, placed, reread

ENDED = ("done", "void")
_STEP = TypeAdapter[Job | Joined](Job | Joined)


class JobLog:
    """The steps of one batch. Opening it locks it: raises Clash while another process works on this batch."""

    def __init__(self, folder: Path, batch: str) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / f"{batch}.jsonl"
        self._jobs: dict[str, Job] = {}
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        if not taken(self._descriptor):
            os.close(self._descriptor)
            raise Clash("another run works on this batch now")
        end = self._read()
        os.ftruncate(self._descriptor, end)

    def open(self) -> Sequence[Job]:
        """Jobs that are neither done nor void, in the order they began."""
        return [job for job in self._jobs.values() if job.state not in ENDED]

    def note(self, job: Job) -> None:
        """A step, on the disk before this returns."""
        self._write(job)
        self._jobs[job.name] = job

    def join(self, joined: Joined) -> None:
        """More lines of a job, on the disk before this returns."""
        self._write(joined)
        self._jobs[joined.name] = self._jobs[joined.name].joined(joined)

    def close(self) -> None:
        """Let go; with nothing left to collect the file goes too."""
        if not self.open():
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def _write(self, step: Job | Joined) -> None:
        data = f"{json.dumps(asdict(step))}\n".encode()
        while data:
            data = data[os.write(self._descriptor, data) :]
        os.fsync(self._descriptor)

    def _read(self) -> int:
        """Take note of what stands there; where the last whole line ends."""
        end = 0
        with os.fdopen(os.dup(self._descriptor), "rb") as reader:
            reader.seek(0)
            for text in reader:
                if not text.endswith(b"\n"):
                    break
                try:
                    step = _STEP.validate_json(text)
                    self._jobs[step.name] = self._jobs[step.name].joined(step) if isinstance(step, Joined) else step
                except (ValidationError, KeyError):  # to begin anew would hand in a second time what it tells of
                    raise Clash(f"its record {self._path} is damaged, so nobody knows what was handed in") from None
                end += len(text)
        return end


@dataclass(frozen=True, slots=True)
class FileSource:
    """The lines of a batch file, as `Deferred` wants them. `done` is what stands in the output."""

    file: BinaryIO
    defaults: Defaults
    done: Bits
    log: JobLog

    def fresh(self) -> Iterator[tuple[Line, int]]:
        """Lines that are neither done nor at a provider."""
        there = Bits()
        for job in self.log.open():
            for number in job.lines:
                there.add(number)
        self.file.seek(0)
        return placed(self.file, self.defaults, _Either(self.done, there))

    def again(self, job: Job) -> Iterator[Line]:
        """Lines of a job that are not in the output yet. Whoever reads `fresh` goes on where they were."""
        numbers, place = {number for number in job.lines if number not in self.done}, self.file.tell()
        try:
            for line in reread(self.file, self.defaults, job.lines, job.offset) if numbers else ():
                if line.number in numbers:
                    yield line
        finally:
            self.file.seek(place)


@dataclass(frozen=True, slots=True)
class _Either:
    one: Bits
    other: Bits

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and (number in self.one or number in self.other)
