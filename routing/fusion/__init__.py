"""Many models, one answer, and a confidence that was measured.

`fusion.py` asks a panel through the provider manager; `panel.py`, `stopping.py`, `answers/`, `methods/` and
`confidence.py` decide, and are pure. Nothing here speaks to a provider itself. Source: guide fusion-and-routing.
"""
