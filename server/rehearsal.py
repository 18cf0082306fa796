"""The user's own deployments for a rehearsal: with every key assumed, nothing opened, nobody asked."""

from collections.abc import Sequence
from dataclasses import replace

from providers.http import Http
from routing.directory import Names
from routing.strategies import names as strategies
from routing.types import Deployment

from . import prices, settings
from .compose import today
from .config import Loaded
from .roster import Roster, Wires
from .seats import seats
from .security.keys import opened


def rehearsed(loaded: Loaded) -> Names:
    """A directory of what is configured. A provider without its key is rehearsed as if it had one."""
    present = [replace(d, status="available") if d.status == "no_key" else d for d in configured(loaded)]
    naming = settings.naming(loaded.config, frozenset(strategies()), demo=False)
    return Names(present, naming, today=today)


def configured(loaded: Loaded) -> Sequence[Deployment]:
    """Every deployment the configuration makes, local engines apart: those are asked what they have."""
    wires = Wires(Http(), published=prices.kept(loaded.folders.data))
    everybody = seats(loaded.config, loaded.environment, opened(loaded))
    return [d for seat in everybody for d in Roster(seat, wires).deployments()]
