"""Writing down what happened, from wherever it happens: names and numbers, made safe once more on the way."""

import json
import time
from typing import Any

import anyio

from routing.store.audit import Happening

from .. import settings
from ..config import Loaded
from .redaction import current

SHELL = "shell"


def happening(who: str, what: str, subject: str, **detail: Any) -> Happening:
    """A line for the audit log, redacted."""
    safe = current().text
    told = json.dumps(detail, ensure_ascii=False, sort_keys=True) if detail else ""
    return Happening(round(time.time(), 3), safe(who), what, safe(subject), safe(told))


def note(loaded: Loaded, what: str, subject: str, **detail: Any) -> None:
    """For commands: open the store, add one line, durable when this returns. Raises StoreFault."""
    line = happening(SHELL, what, subject, **detail)

    async def _noted() -> None:
        async with settings.store(loaded.config, loaded.folders) as store:
            await store.audit.append(line).wait()

    anyio.run(_noted)
