"""From events to evidence: which keys are used, what was refused, which budgets changed. Never waits, never fails a call."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from routing.costs.budgets import Cap
from routing.events import AttemptStarted, BudgetAlert, Event, Failed
from routing.store.audit import Audit

from .evidence import happening

REFUSALS = frozenset({"policy", "budget_exceeded", "authentication"})
HOUR_S = 3600.0


@dataclass(slots=True)
class Watch:
    """Subscribes to the hub. A key's use is noted once an hour per provider: the ledger has every single call."""

    audit: Audit
    clock: Callable[[], float] = time.time
    _used: dict[str, float] = field(default_factory=dict[str, float])
    _caps: tuple[Cap, ...] | None = None

    def __call__(self, event: Event) -> None:
        """Note what belongs into the log."""
        match event:
            case AttemptStarted(provider=provider):
                self._key_used(provider)
            case Failed(code=code, receipt=receipt, id=id_) if code in REFUSALS:
                self.note(receipt.caller if receipt else "unknown", "refused", id_, code=code)
            case BudgetAlert(scope=scope, period=period, share=share) if share > 1:
                self.note("plenum", "budget overrun", scope, period=period, share=round(share, 3))
            case _:
                pass

    def note(self, who: str, what: str, subject: str, **detail: Any) -> None:
        """Add a line with the next write."""
        self.audit.later(happening(who, what, subject, **detail))

    def adopted(self, caps: tuple[Cap, ...]) -> None:
        """These budgets come into force; what differs from those before is noted."""
        before, self._caps = self._caps, caps
        for cap in sorted(set(before or caps) ^ set(caps), key=lambda c: (c.scope, c.period, c in caps)):
            self.note(
                "plenum", "budget set" if cap in caps else "budget lifted", cap.scope, period=cap.period, usd=cap.usd
            )

    def _key_used(self, provider: str) -> None:
        now = self.clock()
        if provider.startswith("sim") or now - self._used.get(provider, -HOUR_S) < HOUR_S:
            return
        self._used[provider] = now
        self.note("plenum", "key used", provider)
