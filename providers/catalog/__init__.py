"""Who exists and what is known of models: rows, cards, prices, aliases, tokens, carbon. Facts only, nothing is called.

Everything is read from package data, late and once; nothing is downloaded.
"""

from .aliases import Alias, alias, aliases
from .cards import Override, card, find, group, models
from .prices import cost_nano, in_batch, price, worst_nano
from .rows import ProviderRow, canonical, row, rows

__all__ = [
    "Alias",
    "Override",
    "ProviderRow",
    "alias",
    "aliases",
    "canonical",
    "card",
    "cost_nano",
    "find",
    "group",
    "in_batch",
    "models",
    "price",
    "row",
    "rows",
    "worst_nano",
]
