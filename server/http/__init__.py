"""Everything over HTTP: `/mcp`, and what stands beside it. One plain ASGI guard around all of it."""
