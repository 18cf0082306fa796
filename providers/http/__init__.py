"""A provider behind HTTP: one engine a process (`Http`), one `HttpProvider` per configured provider on it.

Every way the other side can misbehave ends in one ProviderError within fixed time and memory (guide
reliability-and-security §9.3). Above: `routing/`. Below: `dialects/` say what the bytes mean. The engine's packages are
imported at the first call, not with this one.
"""

from .provider import HttpProvider, Route, Timeouts
from .session import Http

__all__ = ["Http", "HttpProvider", "Route", "Timeouts"]
