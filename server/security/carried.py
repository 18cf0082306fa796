"""The keys that came with the request being served, by provider. Nothing but a variable: everything may import it."""

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType

_NONE: Mapping[str, str] = MappingProxyType({})
carried: ContextVar[Mapping[str, str]] = ContextVar("carried", default=_NONE)
