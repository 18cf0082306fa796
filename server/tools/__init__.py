"""The four tools, one file each, in the order of the contract. One whose part has not landed is absent."""

from server.house import House
from server.mcp.exact import ExactTool

from .costs import costs
from .fuse import fuse
from .generate import generate
from .list_models import list_models


def tools(house: House) -> list[ExactTool]:
    """Every tool, in order."""
    return [generate(house), fuse(house), list_models(house), costs(house)]
