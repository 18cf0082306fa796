"""The SDK's quirks in one place: transports, exact tools, extensions, subscriptions. Nothing here knows a tool of ours."""
