"""A provider that is a program: scripted, faulty, repeatable by seed; in process (`SimProvider`) or over HTTP (`serve`).

Over HTTP it speaks every dialect of ours, and misbehaves in each as real providers do. Its answers are labelled.
"""

from .model import LABEL, MODELS
from .provider import SimProvider, card
from .script import FAULTS, Conduct, Fault, Scenario, ScenarioError, load_scenario, parse_fault
from .server import serve
from .stage import Answers, Said

__all__ = [
    "FAULTS",
    "LABEL",
    "MODELS",
    "Answers",
    "Conduct",
    "Fault",
    "Said",
    "Scenario",
    "ScenarioError",
    "SimProvider",
    "card",
    "load_scenario",
    "parse_fault",
    "serve",
]
