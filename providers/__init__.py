"""Talk to one model: HTTP and JSON. No routing, no money, no MCP, no environment."""
