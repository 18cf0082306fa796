"""A run as Markdown with a chart and advice. Names come from providers: they are escaped for both."""

import random
from collections.abc import Sequence
from html import escape

from .run import Sample
from .stats import SURE, Score, chance, qualities, scores

FEW = 5  # calls per model below which nothing is advised
COLOURS = ("#2f6fb0", "#c2703d", "#3d8b5f")


def markdown(samples: Sequence[Sample], head: str) -> str:
    """The report. `head` says what was run."""
    found = scores(samples)
    rows = [
        f"| {_cell(s.model)} | {s.calls} | {s.reliability:.0%} | {_plus(s.quality, '.2f')} | {_plus(s.latency_s, '.2f')} "
        f"| {'–' if s.latency_s is None else f'{s.latency_s.p95:.2f}'} | {_usd(s.usd)} | {_none(s.tokens, '.0f')} |"
        for s in found
    ]
    tasks = [
        f"| {_cell(task)} | " + " | ".join(_task(samples, score.model, task) for score in found) + " |"
        for task in dict.fromkeys(sample.task for sample in samples)
    ]
    return "\n".join([
        "# Providers, measured", "", head, "", "![latency, cost and quality](chart.svg)", "",
        "| model | calls | answered | quality ± sd | seconds ± sd | p95 | USD per answer | tokens |",
        "|---|--:|--:|--:|--:|--:|--:|--:|", *rows, "",
        "## By task: quality · seconds", "",
        "| task | " + " | ".join(_cell(score.model) for score in found) + " |", "|---" * (len(found) + 1) + "|", *tasks, "",
        "## What follows", "", *(f"- {line}" for line in advice(samples)), "",
    ])  # fmt: skip


def advice(samples: Sequence[Sample]) -> list[str]:
    """What to do about it. Only differences that chance rarely makes are called differences."""
    found = scores(samples)
    if not found or min(score.calls for score in found) < FEW:
        return [f"Too few calls to advise: ask at least {FEW} times per model (--repetitions)."]
    rng, best = random.Random(0), found[0]  # noqa: S311 - a test of significance, repeatable
    lines = [
        f"{_cell(s.model)} answered only {s.reliability:.0%} of its calls: give it a lower priority."
        for s in found
        if s.reliability < 0.95
    ]
    if best.quality is None:
        return [*lines, "No quality was measured: add --judge."]
    equals = [s for s in found if s.quality and s.reliability >= 0.95 and _no_worse(samples, s, best, rng)]
    if not equals:
        return lines
    cheap = min(equals, key=lambda s: s.usd or 0.0)
    quick = min(equals, key=lambda s: s.latency_s.mean if s.latency_s else 1e9)
    names = ", ".join(_cell(s.model) for s in equals)
    lines.append(f"As good as each other, as far as these calls can tell (p ≥ {SURE}): {names}.")
    lines.append(f"For cost: {_cell(cheap.model)}, {_usd(cheap.usd)} per answer.")
    if quick.latency_s:
        lines.append(f"For speed: {_cell(quick.model)}, {quick.latency_s.mean:.2f} s on average.")
    worse = [s for s in found if s.quality and s not in equals and s.reliability >= 0.95]
    return lines + [f"{_cell(s.model)} is worse than {_cell(best.model)}, and not by chance." for s in worse]


def _no_worse(samples: Sequence[Sample], one: Score, best: Score, rng: random.Random) -> bool:
    mine = qualities([s for s in samples if s.model == one.model])
    theirs = qualities([s for s in samples if s.model == best.model])
    return one is best or chance(mine, theirs, rng) >= SURE


def _task(samples: Sequence[Sample], model: str, task: str) -> str:
    (score,) = scores([s for s in samples if (s.model, s.task) == (model, task)]) or (None,)
    if score is None:
        return "–"
    return f"{_none(score.quality and score.quality.mean, '.2f')} · {_none(score.latency_s and score.latency_s.mean, '.2f')}"


def chart(samples: Sequence[Sample]) -> str:
    """Three panels of bars as SVG: seconds with their deviation, USD per answer, quality. For light and dark pages."""
    found = scores(samples)
    height = 46 + 26 * len(found)
    panels = (
        (
            "seconds ± sd",
            [(s.latency_s.mean if s.latency_s else 0.0, s.latency_s.sd if s.latency_s else 0.0) for s in found],
        ),
        ("USD per answer", [(s.usd or 0.0, 0.0) for s in found]),
        ("quality", [(s.quality.mean if s.quality else 0.0, 0.0) for s in found]),
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 {height}" font-family="system-ui, sans-serif" font-size="12">',
        "<title>Latency, cost and quality by model</title>",
        "<style>text{fill:#444}@media(prefers-color-scheme:dark){text{fill:#ccc}}</style>",
    ]
    parts += [f'<text x="8" y="{58 + 26 * row}">{escape(score.model[:30])}</text>' for row, score in enumerate(found)]
    for column, (title, values) in enumerate(panels):
        parts += _panel(220 + column * 228, title, values, COLOURS[column])
    return "\n".join([*parts, "</svg>", ""])


def _panel(left: int, title: str, values: Sequence[tuple[float, float]], colour: str) -> list[str]:
    longest = max((mean + sd for mean, sd in values), default=0.0) or 1.0
    parts = [f'<text x="{left}" y="24" font-weight="600">{title}</text>']
    for row, (mean, sd) in enumerate(values):
        width, y = 150 * mean / longest, 46 + 26 * row
        parts.append(f'<rect x="{left}" y="{y}" width="{width:.1f}" height="16" rx="3" fill="{colour}"/>')
        if sd:
            low, high = left + 150 * max(0.0, mean - sd) / longest, left + 150 * (mean + sd) / longest
            parts.append(f'<path d="M{low:.1f} {y + 8}H{high:.1f}" stroke="#888" stroke-width="2"/>')
        parts.append(f'<text x="{left + 156}" y="{y + 12}">{mean:.3g}</text>')
    return parts


def _cell(text: str) -> str:
    return escape(text).replace("|", "\\|").replace("\n", " ").replace("`", "'")


def _plus(found: object, form: str) -> str:
    mean, sd = getattr(found, "mean", None), getattr(found, "sd", 0.0)
    return "–" if mean is None else f"{mean:{form}} ± {sd:{form}}"


def _none(value: float | None, form: str) -> str:
    return "–" if value is None else f"{value:{form}}"


def _usd(value: float | None) -> str:
    return "–" if value is None else f"${value:.6f}"
