"""Trying something else on a share of the traffic, and saying what came of it; or asking the past what it would have cost.

`assignment` draws, `laboratory` carries out, `report` compares; `replay` decides yesterday's asks anew and calls nobody.
"""
