"""The user's own deployments for a rehearsal: with every key assumed, nothing opened, nobody asked."""

from dataclasses import replace

from providers.http import Http
from routing.directory import Names
from routing.strategies import names as strategies

from . import settings
from .compose import today
from .config import Loaded
from .roster import Roster, Wires
from .seats import seats
from .security.keys import opened


def rehearsed(loaded: Loaded) -> Names:
    """A directory of what is configured. A provider without its key is rehearsed as if it had one."""
    wires = Wires(Http())
    everybody = seats(loaded.config, loaded.environment, opened(loaded))
    found = [d for seat in everybody for d in Roster(seat, wires).deployments()]
    present = [replace(d, status="available") if d.status == "no_key" else d for d in found]
    naming = settings.naming(loaded.config, frozenset(strategies()), demo=False)
    return Names(present, naming, today=today)
