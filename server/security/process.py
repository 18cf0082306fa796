"""What a process that holds keys does first: no core dumps, and no log that tells."""

from collections.abc import Mapping

from .redaction import Redactor, install


def harden(environment: Mapping[str, str]) -> Redactor:
    """Call once, before anything is read."""
    try:
        import resource
    except ImportError:  # Windows writes no core files
        return install(environment)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return install(environment)
