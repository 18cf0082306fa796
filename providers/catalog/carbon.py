"""Grams of CO2e of an answer, as a range: ecologits' model of energy and embodied impact, offline.

Sizes of closed models are ecologits' estimates, so the range is the answer, never its middle. A model it does not list
is computed from its number of parameters where that is known (`listed=False`), else nothing is claimed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .cards import plain, vendor
from .rows import canonical, row

# Our names for whom ecologits knows; open weights are listed under Hugging Face by full id.
_KNOWN: Mapping[str, str] = {
    "openai": "openai", "anthropic": "anthropic", "gemini": "google_genai", "mistral": "mistralai", "cohere": "cohere",
}  # fmt: skip
_HUB = "huggingface_hub"
_PUE = 1.2  # of a large data centre (ecologits' providers: 1.09 to 1.2)
_HOME_PUE = 1.0  # a machine in a room has no cooling of its own


@dataclass(frozen=True, slots=True)
class Carbon:
    """Grams of CO2e, usage and hardware; `listed` says that the model's size is ecologits', not ours."""

    low: float
    high: float
    listed: bool


@dataclass(frozen=True, slots=True)
class _Engine:
    """What the energy of a token depends on: billions of parameters, active and in all, and the data centre."""

    active: Any
    total: Any
    pue: Any
    listed: bool
    speed: Mapping[str, float | None]


def grams(
    model: str, output_tokens: int, latency_s: float, zone: str = "WOR", parameters_b: tuple[float, float] | None = None
) -> Carbon | None:
    """CO2e of an answer by `provider/model`; `zone` is ISO alpha-3 of the electricity (an unknown one counts as world).

    `parameters_b` are the active parameters in billions, low and high, for a model ecologits does not list.
    Imports ecologits on first use (about 0.1 s).
    """
    provider, _, name = model.partition("/")
    engine = _engine(canonical(provider), name, parameters_b)
    if engine is None:
        return None
    from ecologits.impacts.llm import compute_llm_impacts

    mix = _mix(zone)
    impact = compute_llm_impacts(
        model_active_parameter_count=engine.active,
        model_total_parameter_count=engine.total,
        output_token_count=max(output_tokens, 0),
        request_latency=max(latency_s, 0.0),
        if_electricity_mix_adpe=mix.adpe,
        if_electricity_mix_pe=mix.pe,
        if_electricity_mix_gwp=mix.gwp,
        if_electricity_mix_wue=mix.wue,
        datacenter_pue=engine.pue,
        datacenter_wue=0.0,  # water is not asked for
        **engine.speed,
    )
    low, high = _ends(impact.gwp.value)
    return Carbon(low * 1000, high * 1000, engine.listed)


@lru_cache(maxsize=1024)
def _engine(provider: str, model: str, parameters_b: tuple[float, float] | None) -> _Engine | None:
    found = _registered(provider, model)
    known = row(provider)
    pue = _HOME_PUE if known and known.local else _PUE
    if found is not None:
        size = found.architecture.parameters
        speed = found.deployment
        return _Engine(
            getattr(size, "active", size),
            getattr(size, "total", size),
            pue,
            listed=True,
            speed={"tps": speed.tps, "ttft": speed.ttft} if speed else {},
        )
    if parameters_b is None:
        return None
    from ecologits.utils.range_value import RangeValue

    size = RangeValue(min=parameters_b[0], max=parameters_b[1])
    return _Engine(size, size, pue, listed=False, speed={})


def _registered(provider: str, model: str) -> Any:
    from ecologits.model_repository import models

    maker, bare = vendor(provider, model)
    if maker in _KNOWN:
        names = dict.fromkeys((bare, plain(bare)))
        found = (models.find_model(provider=_KNOWN[maker], model_name=name) for name in names)
        return next((entry for entry in found if entry is not None), None)
    return models.find_model(provider=_HUB, model_name=model.partition(":")[0])


@lru_cache(maxsize=256)
def _mix(zone: str) -> Any:
    from ecologits.electricity_mix_repository import electricity_mixes

    return electricity_mixes.find_electricity_mix(zone=zone) or electricity_mixes.find_electricity_mix(zone="WOR")


def _ends(value: Any) -> tuple[float, float]:
    return (value.min, value.max) if hasattr(value, "min") else (value, value)
