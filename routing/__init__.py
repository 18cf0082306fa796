"""Choose, protect, pay, remember. Stands on `providers`; knows nothing of MCP or the environment."""
