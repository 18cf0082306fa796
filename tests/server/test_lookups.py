"""A schema that declares no header is not walked at every call; one that does still is."""

from mcp.server.mcpserver import MCPServer

from server.mcp.doors import lowlevel, without_lookups

HEADED = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}


def test_a_schema_is_given_once_unless_it_declares_a_header() -> None:
    server = MCPServer("x")
    schemas = {"plain": {"type": "object"}, "headed": HEADED}
    core = lowlevel(server)
    core.get_tool_input_schema = schemas.get
    without_lookups(server)
    looked = core.get_tool_input_schema
    assert looked("plain") == {"type": "object"} and looked("plain") is None
    assert looked("headed") is HEADED and looked("headed") is HEADED
    assert looked("unknown") is None


def test_a_tool_that_is_replaced_is_looked_at_anew() -> None:
    server = MCPServer("x")
    schemas = {"tool": {"type": "object"}}
    core = lowlevel(server)
    core.get_tool_input_schema = schemas.get
    without_lookups(server)
    assert core.get_tool_input_schema("tool") is not None
    schemas["tool"] = HEADED
    assert core.get_tool_input_schema("tool") is HEADED
