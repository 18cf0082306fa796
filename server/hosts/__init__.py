"""How each host is told of an MCP server: where its file is, what an entry looks like, and how one is put in and taken out.

No entry holds a secret: keys live in Plenum's own store, so what is written is the same on every machine.
"""

from .catalogue import HOSTS, Host, Place, snippet, started_by
from .change import Change, Unreadable, installed, removed

__all__ = ["HOSTS", "Change", "Host", "Place", "Unreadable", "installed", "removed", "snippet", "started_by"]
