"""The dashboard as an MCP App: hosts that know Apps show it beside the results of `costs` and `fuse`; others show the results."""

from mcp.server.apps import Apps
from mcp.server.mcpserver.resources import FunctionResource

DASHBOARD = "ui://plenum/dashboard"
VIEW = {"ui": {"resourceUri": DASHBOARD}}  # in the `_meta` of a tool whose result the page can show


def apps() -> Apps:
    """The extension with its one page, which is read when a host first asks for it."""
    found = Apps()

    def html() -> str:
        from server.page.html import page

        return page()

    found.add_resource(
        FunctionResource(
            uri=DASHBOARD,
            name="dashboard",
            title="Spending, and what a council said",
            mime_type="text/html;profile=mcp-app",
            meta={"ui": {"prefersBorder": True}},
            fn=html,
        )
    )
    return found
