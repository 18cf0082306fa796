"""What a process that holds keys does first: no core dumps, no reading of its memory by others, and no log that tells."""

import sys
from collections.abc import Mapping

from .redaction import Redactor, install

PR_SET_DUMPABLE = 4  # linux/prctl.h


def harden(environment: Mapping[str, str]) -> Redactor:
    """Call once, before anything is read."""
    try:
        import resource
    except ImportError:  # Windows writes no core files
        return install(environment)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        _undumpable()
    return install(environment)


def _undumpable() -> None:
    """A limit does not hold for dumps that are piped to a program (core(5)); this does, and no other process may attach."""
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
