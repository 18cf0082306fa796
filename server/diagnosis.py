"""What `plenum doctor` finds, and what a check is."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from .config import Loaded
from .config.world import World

Level = Literal["ok", "note", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One finding; `fix` is the exact next thing to do, empty where nothing is wrong."""

    level: Level
    topic: str
    message: str
    fix: str = ""


Check = Callable[[World, Loaded], Awaitable[Sequence[Diagnosis]]]
