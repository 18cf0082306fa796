"""How much of the memory this process may use it does use: the container's limit where there is one, else the machine's."""

import os
from functools import cache, lru_cache
from pathlib import Path
from time import monotonic

_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_RESIDENT = Path("/proc/self/statm")


AGE_S = 0.2  # a reading is good for so long: looking costs a third of a millisecond, memory does not leap faster


def used_share() -> float:
    """Resident memory as a share 0..1 of the limit; 0 where the system does not say."""
    return _share(int(monotonic() / AGE_S))


@lru_cache(maxsize=1)
def _share(moment: int) -> float:
    del moment
    limit = _limit()
    try:
        pages = int(_RESIDENT.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * _page() / limit if limit else 0.0


@cache
def _limit() -> int:
    found = [value for path in _LIMITS if (value := _number(path))]
    return min([*found, _machine()], default=0)


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # absent, or `max`
        return 0


@cache
def _page() -> int:
    return os.sysconf("SC_PAGE_SIZE")


def _machine() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * _page()
    except (OSError, ValueError, AttributeError):  # not on every system
        return 0
