"""One file per way to make one answer of many. No I/O, no clock: a method yields what it wants to know (`Consult` a
judge, `Embed` texts), is sent the reply, and returns a verdict.

A method is a module-level object named `method` in a file whose name is its name in `fuse`'s `method` (or an entry
point of the group `plenum.fusion`). `tests/contracts/` runs one suite over every one.
"""

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules

from ..types import Method


@cache
def names() -> tuple[str, ...]:
    """Every method there is, built in or from an entry point."""
    built_in = [module.name for module in iter_modules(__path__) if not module.name.startswith("_")]
    return tuple(sorted({*built_in, *(entry.name for entry in entry_points(group="plenum.fusion"))}))


@cache
def load(name: str) -> Method:
    """The method of this name. Raises KeyError where there is none."""
    for entry in entry_points(group="plenum.fusion", name=name):
        return entry.load()
    if name not in names():
        raise KeyError(name)
    return import_module(f"{__name__}.{name}").method
