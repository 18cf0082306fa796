"""The dashboard: one page, and the facts it shows. The same page is served at `/`, lives in hosts as an MCP App, and is exported."""
