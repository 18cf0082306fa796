"""From events to evidence: which keys are used, what was refused, which budgets changed. Never waits, never fails a call.

A caller in a loop fills no log: what happens again within a minute is counted, and the minute's end is one line.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from routing.costs.budgets import Cap
from routing.events import AttemptStarted, BudgetAlert, Event, Failed
from routing.store.audit import Audit

from .evidence import happening

REFUSALS = frozenset({"policy", "budget_exceeded", "authentication"})
HOUR_S = 3600.0
STRETCH_S = 60.0
MOST = 256  # happenings told apart in one stretch: a caller may call itself anything
OTHERS = "others"
Alike = tuple[str, str, str]


@dataclass(slots=True)
class Stretch:
    """What happened again since `began` (seconds since the epoch): how often, and the last of it."""

    began: float
    count: int = 0
    subject: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class Watch:
    """Subscribes to the hub. A key's use is noted once an hour per provider: the ledger has every single call."""

    audit: Audit
    clock: Callable[[], float] = time.time
    _used: dict[str, float] = field(default_factory=dict[str, float])
    _caps: tuple[Cap, ...] | None = None
    _stretches: dict[Alike, Stretch] = field(default_factory=dict[Alike, Stretch])

    def __call__(self, event: Event) -> None:
        """Note what belongs into the log."""
        match event:
            case AttemptStarted(provider=provider):
                self._key_used(provider)
            case Failed(code=code, receipt=receipt, id=id_) if code in REFUSALS:
                self.often((receipt.caller if receipt else "unknown", "refused", code), id_, code=code)
            case BudgetAlert(scope=scope, period=period, share=share) if share > 1:
                alike = "plenum", "budget overrun", f"{scope} {period}"
                self.often(alike, scope, period=period, share=round(share, 3))
            case _:
                pass

    def note(self, who: str, what: str, subject: str, **detail: Any) -> None:
        """Add a line with the next write."""
        self.audit.later(happening(who, what, subject, **detail))

    def often(self, alike: Alike, subject: str, **detail: Any) -> None:
        """Add a line, or count it: `alike` is who, what, and what else makes it the same happening."""
        if alike not in self._stretches and len(self._stretches) >= MOST:
            alike = OTHERS, *alike[1:]
        if (known := self._stretches.get(alike)) is None:
            self._stretches[alike] = Stretch(self.clock())
            self.note(alike[0], alike[1], subject, **detail)
        else:
            known.count, known.subject, known.detail = known.count + 1, subject, detail

    def settle(self, *, every: bool = False) -> None:
        """Write down what was counted in stretches that have ended; with `every`, in all. For whoever looks in now and then."""
        now = self.clock()
        for alike, stretch in list(self._stretches.items()):
            if not every and 0 <= now - stretch.began < STRETCH_S:
                continue
            if stretch.count:  # it goes on: the next line tells of the next stretch
                told = {"count": stretch.count, "seconds": round(now - stretch.began)}
                self.note(alike[0], alike[1], stretch.subject, **stretch.detail, **told)
                self._stretches[alike] = Stretch(now)
            else:
                del self._stretches[alike]

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
