"""Not asked twice: the exact cache, single flight, and the semantic cache. A `Recall` beneath replay and context.

Above: `routing/prepared.py`. Below: `routing/store/cache.py` (durable rows) and `routing/store/shared.py` (a fleet).
"""
