"""What simulated models are made to do: latency, token rate, price, scripted answers, and faults by rate or by script.

A scenario is TOML (or the same as JSON). Keys of `models` are a model (`fast`, `gpt-4o`), a dialect and a model
(`anthropic/claude-haiku-5-5`: only there), or `*`; the most exact one counts, whole.

    seed = 7                                  # the same seed, the same faults in the same order per model
    batch_s = 1                               # seconds until a provider batch ends
    batch_faults = ["", "expire", "hang"]     # batch by batch: half is never run; taken on, but the reply is lost
    [models."*"]
    latency_s = 0.2                           # until the first token
    tokens_per_s = 80                         # 0: all at once
    [models.flaky]
    faults = { "status:503" = 0.2, "cut_stream" = 0.1 }   # share of calls
    price = { input = 0.15, output = 0.6, cached_input = 0.02 }   # USD per million tokens
    [models."openai_chat/gpt-4o"]
    script = ["retry_after:7", "ok", "hang"]  # call by call
    repeat = true                             # from the beginning again, else `ok` for ever
    answers = ["Paris.", "Lyon."]             # instead of the model's own words, in turn

Faults: `status:N`, `retry_after[:S]`, `hang`, `slow[:FACTOR]`, `reset`, `cut_stream`, `stall_stream`, `no_finish`,
`bad_chunk`, `empty`, `no_choices`, `error_200`, `html_502`, `refusal`, `truncated`, `wrong_schema`, `huge`, `bad_utf8`,
`redirect`, `negative_usage`.
"""

import json
import math
import random
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, cast

from ..types import Price

FAULTS = (
    "status",
    "retry_after",
    "hang",
    "slow",
    "reset",
    "cut_stream",
    "stall_stream",
    "no_finish",
    "bad_chunk",
    "empty",
    "no_choices",
    "error_200",
    "html_502",
    "refusal",
    "truncated",
    "wrong_schema",
    "huge",
    "bad_utf8",
    "redirect",
    "negative_usage",
)
_DEFAULTS: Mapping[str, float] = {"status": 503, "retry_after": 1, "slow": 10}
_NUMBERS = ("latency_s", "tokens_per_s")


class ScenarioError(ValueError):
    """A scenario that cannot be played; the message says where and what would do."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing gone wrong. `amount` is a status, seconds or a factor, where the fault takes one."""

    name: str
    amount: float = 0.0


@dataclass(frozen=True, slots=True)
class Conduct:
    """How one simulated model behaves. Seconds; tokens a second, 0 for all at once; shares 0..1."""

    latency_s: float = 0.0
    tokens_per_s: float = 0.0
    faults: tuple[tuple[Fault, float], ...] = ()
    script: tuple[Fault | None, ...] = ()
    repeat: bool = False
    answers: tuple[str, ...] = ()
    price: Price = Price(0.0, 0.0, source="simulator")


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything a simulator is told before it starts."""

    seed: int = 0
    models: Mapping[str, Conduct] = field(default_factory=dict[str, Conduct])
    batch_s: float = 1.0
    batch_faults: tuple[str, ...] = ()

    def conduct(self, dialect: str, model: str) -> Conduct:
        """How `model` behaves when asked in `dialect`: the most exact entry, else the model's own nature."""
        for key in (f"{dialect}/{model}", model, f"{dialect}/*", "*"):
            if found := self.models.get(key):
                return found
        return _NATURE.get(model.removeprefix("sim/"), Conduct())


_NATURE: Mapping[str, Conduct] = {
    "fast": Conduct(latency_s=0.02, tokens_per_s=2000),
    "smart": Conduct(latency_s=0.15, tokens_per_s=400, price=Price(2.0, 8.0, source="simulator")),
    "slow": Conduct(latency_s=2.0, tokens_per_s=20),
    "flaky": Conduct(
        latency_s=0.02,
        tokens_per_s=2000,
        faults=((Fault("status", 503), 0.2), (Fault("cut_stream"), 0.1), (Fault("retry_after", 1), 0.1)),
    ),
}


class Luck:
    """Draws what happens next, per model, from the scenario's seed. The only thing here that moves."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._dice: dict[str, random.Random] = {}
        self._calls: dict[str, int] = {}

    def next(self, dialect: str, model: str) -> tuple[Conduct, Fault | None, str | None]:
        """The conduct of this call, what goes wrong in it, and its scripted text."""
        conduct, key = self._scenario.conduct(dialect, model), f"{dialect}/{model}"
        call = self._calls.get(key, 0)
        self._calls[key] = call + 1
        dice = self._dice.setdefault(key, random.Random(f"{self._scenario.seed}/{key}"))  # noqa: S311 - repeatable is the point
        text = conduct.answers[call % len(conduct.answers)] if conduct.answers else None
        return conduct, _scripted(conduct, call) or _drawn(conduct, dice.random()), text


def _scripted(conduct: Conduct, call: int) -> Fault | None:
    steps = conduct.script
    if not steps or (call >= len(steps) and not conduct.repeat):
        return None
    return steps[call % len(steps)]


def _drawn(conduct: Conduct, share: float) -> Fault | None:
    for fault, rate in conduct.faults:
        share -= rate
        if share < 0:
            return fault
    return None


def parse_fault(text: str) -> Fault:
    """`status:503` → Fault("status", 503). Raises ScenarioError naming the nearest fault there is."""
    name, _, amount = text.partition(":")
    if name not in FAULTS:
        near = get_close_matches(name, FAULTS, 1)
        raise ScenarioError(f"there is no fault {name!r}; " + (f"did you mean {near[0]!r}?" if near else _known()))
    try:
        number = float(amount) if amount else _DEFAULTS.get(name, 0.0)
    except ValueError:
        raise ScenarioError(f"{text!r}: what follows the colon must be a number") from None
    if name == "status" and number not in range(300, 600):
        raise ScenarioError(f"{text!r}: a failing status is between 300 and 599")
    return Fault(name, number)


def _known() -> str:
    return "known are " + ", ".join(FAULTS)


def load_scenario(text: str) -> Scenario:
    """Read a scenario from TOML or JSON. Raises ScenarioError with the place and the remedy."""
    data = _document(text)
    _only(data, tuple(Scenario.__dataclass_fields__), "scenario")
    seed = data.get("seed", 0)
    if not isinstance(seed, int):
        raise ScenarioError("seed: must be a whole number")
    models = _table(data.get("models", {}), "models")
    conducts = {name: _conduct(name, _table(entry, f"models.{name}")) for name, entry in models.items()}
    batch_s = _number(data.get("batch_s", 1.0), "batch_s")
    return Scenario(seed, conducts, batch_s, tuple(_texts(data, "batch_faults", "scenario")))


def _document(text: str) -> Mapping[str, Any]:
    try:
        return _table(json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text), "scenario")
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScenarioError(f"the scenario is neither TOML nor JSON: {error}") from None


def _conduct(name: str, entry: Mapping[str, Any]) -> Conduct:
    where = f"models.{name}"
    _only(entry, tuple(Conduct.__dataclass_fields__), where)
    numbers = {key: _number(entry[key], f"{where}.{key}") for key in _NUMBERS if key in entry}
    price = {
        key: _number(value, f"{where}.price.{key}") for key, value in _table(entry.get("price", {}), where).items()
    }
    _only(price, ("input", "output", "cached_input", "cache_write"), f"{where}.price")
    return Conduct(
        faults=tuple(_rates(_table(entry.get("faults", {}), f"{where}.faults"), where)),
        script=tuple(None if step == "ok" else parse_fault(step) for step in _texts(entry, "script", where)),
        repeat=bool(entry.get("repeat", False)),
        answers=tuple(_texts(entry, "answers", where)),
        price=_price(_table(entry.get("price", {}), f"{where}.price"), f"{where}.price"),
        **numbers,
    )


def _price(entry: Mapping[str, Any], where: str) -> Price:
    _only(entry, ("input", "output", "cached_input", "cache_write"), where)
    usd = {key: _number(value, f"{where}.{key}") for key, value in entry.items()}
    return Price(
        usd.get("input", 0.0),
        usd.get("output", 0.0),
        usd.get("cached_input"),
        usd.get("cache_write"),
        source="scenario",
    )


def _rates(entry: Mapping[str, Any], where: str) -> Sequence[tuple[Fault, float]]:
    rates = [(parse_fault(key), _number(value, f"{where}.faults.{key}")) for key, value in entry.items()]
    if sum(rate for _, rate in rates) > 1 + 1e-9:
        raise ScenarioError(f"{where}.faults: the shares add up to more than 1")
    return rates


def _texts(entry: Mapping[str, Any], key: str, where: str) -> Sequence[str]:
    value = entry.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in cast("list[Any]", value)):
        raise ScenarioError(f"{where}.{key}: must be a list of texts")
    return cast("list[str]", value)


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not (0 <= value < math.inf):
        raise ScenarioError(f"{where}: must be a number, 0 or more")
    return float(value)


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ScenarioError(f"{where}: must be a table")
    return cast("dict[str, Any]", value)


def _only(entry: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in entry:
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else "known are " + ", ".join(known)
            raise ScenarioError(f"{where}: there is no key {key!r}; {hint}")
