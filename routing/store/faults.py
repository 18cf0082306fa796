"""When the store cannot do its work: which state it is in, and what a person can do about it."""

from typing import Literal

State = Literal["full", "read_only", "corrupt", "busy", "newer", "network", "unreachable", "closed", "io"]

ADVICE: dict[State, tuple[str, str]] = {
    "full": ("the disk holding Plenum's ledger is full", "Free some space there; nothing was lost"),
    "read_only": ("Plenum's ledger cannot be written", "Make its folder writable, or set [store] url elsewhere"),
    "corrupt": (
        "Plenum's ledger is damaged",
        "Restore it from a backup, or move it away to start afresh (what was spent so far is then forgotten)",
    ),
    "busy": ("Plenum's ledger is held by another program", "End the program that keeps it locked"),
    "newer": ("Plenum's ledger was written by a newer Plenum", "Update this one: uvx plenum-mcp@latest"),
    "network": (
        "Plenum's ledger lies on a network file system, where SQLite cannot be shared safely",
        "Set [store] url to a local folder, or to a postgresql:// server",
    ),
    "unreachable": ("Plenum's ledger server cannot be reached", "Check [store] url and that the server runs"),
    "closed": ("Plenum is shutting down", "Ask again in a moment"),
    "io": ("the disk holding Plenum's ledger reports an error", "Check the disk; nothing is spent until it works"),
}


class StoreFault(Exception):
    """The store is in a state in which it cannot write. `state` is one word, `hint` the next thing to do.

    `detail` may hold paths and driver texts: for logs and `plenum doctor`, never for a caller.
    """

    def __init__(self, state: State, detail: str = "") -> None:
        what, self.hint = ADVICE[state]
        super().__init__(what)
        self.state: State = state
        self.detail = detail


class Declined(Exception):
    """An operation that says no for a reason of its own: it alone is rolled back, its batch goes on."""
