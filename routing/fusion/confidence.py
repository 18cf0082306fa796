"""How sure an answer is: a looked-up, measured probability of being right, never the share of votes.

Default tables were measured on recorded answers of 31 models (guide fusion-and-routing §7); rows for six and seven
members and the effect of length on the development half of that data. They depend on the stop rule: two of three means
less when the third was asked because two disagreed. `calibration.py` refits from the user's feedback.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .answers import Table
from .types import Basis, StopRule

# P(right) by number asked, then by votes of the winner from 1 up: asked all at once
_AT_ONCE: dict[Table, dict[int, tuple[float, ...]]] = {
    "open": {
        2: (0.37, 0.94),
        3: (0.23, 0.72, 0.97),
        4: (0.22, 0.59, 0.83, 0.98),
        5: (0.17, 0.46, 0.69, 0.90, 0.99),
        6: (0.20, 0.44, 0.64, 0.78, 0.92, 0.98),
        7: (0.20, 0.43, 0.62, 0.76, 0.85, 0.97, 0.99),
    },
    "choice": {
        2: (0.40, 0.85),
        3: (0.32, 0.60, 0.89),
        4: (0.30, 0.50, 0.74, 0.91),
        5: (0.27, 0.44, 0.62, 0.80, 0.91),
        6: (0.27, 0.42, 0.55, 0.68, 0.84, 0.92),
        7: (0.26, 0.40, 0.50, 0.62, 0.76, 0.87, 0.92),
    },
}
# stopped at the first two that agree: by number asked; and when nobody agreed
_FIRST_PAIR: dict[Table, dict[int, float]] = {
    "open": {2: 0.93, 3: 0.67, 4: 0.45, 5: 0.38, 6: 0.33, 7: 0.33},
    "choice": {2: 0.85, 3: 0.53, 4: 0.37, 5: 0.34, 6: 0.20, 7: 0.20},
}
_NO_PAIR: dict[Table, float] = {"open": 0.20, "choice": 0.26}
_MOST = 7

# Effect of length, in log-odds per factor e: members that agree after long reasoning agree on a harder question.
# Measured AUROC among agreeing pairs: open .60-.77 by length of the answers, choice .57-.60 by length of the question.
_OPEN_SLOPE, _OPEN_TYPICAL, _REASONED = 0.6, 1000.0, 200  # characters; below the last nobody showed any reasoning
_CHOICE_SLOPE, _CHOICE_TYPICAL = 0.2, 600.0
_MOST_SHIFT: dict[Table, float] = {"open": 1.0, "choice": 0.5}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a confidence is looked up by. `quality` is the speaker's own expected accuracy; lengths are characters."""

    table: Table
    rule: StopRule
    votes: int
    asked: int
    quality: float = 0.5
    answer_chars: Sequence[int] = ()
    question_chars: int = 0


@dataclass(frozen=True, slots=True)
class Confidence:
    """Probability of being right, None where there is no basis for one, and where it comes from."""

    value: float | None
    basis: Basis


@dataclass(frozen=True, slots=True)
class Measured:
    """A confidence and what it was before calibration: what feedback is held against."""

    told: Confidence
    raw: float | None = None


class Calibration(Protocol):
    """What the user's feedback taught: a better probability for a raw one, None where it knows too little."""

    def refine(self, table: str, raw: float) -> float | None: ...


def confidence(evidence: Evidence, calibration: Calibration | None = None) -> Measured:
    """The measured probability that an answer with this evidence is right; no votes, no confidence in anything."""
    if evidence.votes == 0:
        return Measured(Confidence(0.0, "default-table"))
    raw = _shifted(_looked_up(evidence), _harder(evidence))
    refined = calibration.refine(evidence.table, raw) if calibration else None
    told = Confidence(raw, "default-table") if refined is None else Confidence(refined, "calibrated")
    return Measured(told, raw)


def _looked_up(evidence: Evidence) -> float:
    votes, asked = evidence.votes, evidence.asked
    if asked <= 1:
        return evidence.quality
    if asked > _MOST:  # nobody measured larger panels: the same share of seven
        votes, asked = max(1, round(votes * _MOST / asked)), _MOST
    if evidence.rule != "agree2":
        return _AT_ONCE[evidence.table][asked][min(votes, asked) - 1]
    return _FIRST_PAIR[evidence.table][asked] if votes > 1 else _NO_PAIR[evidence.table]


def _harder(evidence: Evidence) -> float:
    """Log-odds to take off because of the length of the reasoning, or of the question where options are listed."""
    if evidence.table == "choice":
        chars = evidence.question_chars
        shift = _CHOICE_SLOPE * math.log(chars / _CHOICE_TYPICAL) if chars else 0.0
    else:
        logs = [math.log(chars / _OPEN_TYPICAL) for chars in evidence.answer_chars if chars >= _REASONED]
        shift = _OPEN_SLOPE * sum(logs) / len(logs) if logs else 0.0
    most = _MOST_SHIFT[evidence.table]
    return max(-most, min(most, shift))


def _shifted(p: float, shift: float) -> float:
    p = min(0.99, max(0.01, p))
    return 1 / (1 + math.exp(shift - math.log(p / (1 - p))))
