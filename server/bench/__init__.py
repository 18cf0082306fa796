"""`plenum bench`: providers measured side by side through the real manager, budgets and limits included."""
