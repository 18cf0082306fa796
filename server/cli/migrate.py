"""`plenum migrate FILE`: what a pal-mcp-server `.env` or a LiteLLM `config.yaml` says, as plenum.toml. Keys are never copied."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from . import Common, Exit

# LiteLLM's prefix → (our provider, what its key is called).
PREFIXES = {
    "openai": "openai", "anthropic": "anthropic", "gemini": "gemini", "xai": "xai", "deepseek": "deepseek", "mistral": "mistral",
    "cohere": "cohere", "cohere_chat": "cohere", "openrouter": "openrouter", "groq": "groq", "together_ai": "together",
    "huggingface": "huggingface", "perplexity": "perplexity", "cerebras": "cerebras", "ollama": "ollama", "ollama_chat": "ollama",
}  # fmt: skip
STRATEGIES = {"latency-based-routing": "performance", "cost-based-routing": "cost", "lowest-cost": "cost"}
NAME = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(slots=True)
class Found:
    """What was understood, and what a person has to look at."""

    models: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    own: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    allowed: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    routing: dict[str, Any] = field(default_factory=dict[str, Any])
    fallbacks: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    notes: list[str] = field(default_factory=list[str])


def register(app: typer.Typer, common: Common) -> None:
    """Add the command."""

    @app.command("migrate", help="Turn a pal-mcp-server .env or a LiteLLM config.yaml into a plenum.toml.")
    def _migrate(  # pyright: ignore[reportUnusedFunction]
        file: Path,
        out: Annotated[Path | None, typer.Option(help="Write it here; never over a file that is there.")] = None,
    ) -> None:
        found = read(file)
        text = toml(found)
        if out is not None:
            _written(out, text)
        common.show(
            {"toml": text, "notes": found.notes, "written": str(out) if out else None},
            text if out is None else f"Wrote {out}",
        )


def read(file: Path) -> Found:
    """What the file says. Raises Exit(2)."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise Exit(2, f"{file} cannot be read. Name a LiteLLM config.yaml or a pal-mcp-server .env.") from None
    return litellm(_yaml(text)) if file.suffix in (".yaml", ".yml") else pal(text)


def _yaml(text: str) -> Mapping[str, Any]:
    try:
        import yaml
    except ImportError:
        raise Exit(2, "Reading YAML needs pyyaml: run it as `uvx --with pyyaml plenum-mcp migrate …`.") from None
    try:
        found: Any = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        raise Exit(2, "This is no YAML. Correct the file, or name another.") from None
    if not isinstance(found, dict):
        raise Exit(2, "This YAML is no LiteLLM configuration: it has no model_list.")
    return cast("dict[str, Any]", found)


def litellm(config: Mapping[str, Any]) -> Found:
    """LiteLLM's `model_list`, `router_settings` and fallbacks."""
    found = Found()
    for entry in _tables(config.get("model_list")):
        _deployment(found, str(entry.get("model_name", "")), _table(entry.get("litellm_params")))
    router, general = _table(config.get("router_settings")), _table(config.get("litellm_settings"))
    asked = str(router.get("routing_strategy", ""))
    if asked in STRATEGIES:
        found.routing["strategy"] = STRATEGIES[asked]
    elif asked:
        found.notes.append(f"routing_strategy {_short(asked)} has no equal here: balanced, with weights inside a tier")
    for table in (*_tables(router.get("fallbacks")), *_tables(general.get("fallbacks"))):
        found.fallbacks |= {name: [str(one) for one in _list(to)] for name, to in table.items()}
    known = {"model_list", "router_settings", "litellm_settings"}
    found.notes += [f"{_short(str(key))} was not read: look at docs/configure.md" for key in config if key not in known]
    return found


def _deployment(found: Found, group: str, params: Mapping[str, Any]) -> None:
    prefix, _, model = str(params.get("model", "")).partition("/")
    if not model:
        prefix, model = "openai", prefix
    base = params.get("api_base")
    provider = PREFIXES.get(prefix)
    if isinstance(base, str) and base and prefix in ("openai", "hosted_vllm", "openai_like", "custom_openai"):
        provider = _own(found, base, params, model)
    elif provider is None:
        found.notes.append(
            f"{_short(prefix)}/{_short(model)}: no provider of this name; add [providers.{NAME.sub('-', prefix)}]"
        )
        return
    if str(params.get("api_key", "")) and not str(params["api_key"]).startswith("os.environ/"):
        found.notes.append(f"the key of {provider} stands in the file: store it with `plenum keys set {provider}`")
    found.models.setdefault(group or model, []).append(f"{provider}/{model}")


def _own(found: Found, base: str, params: Mapping[str, Any], model: str) -> str:
    """A server of the user's own that speaks OpenAI's dialect: one provider per address."""
    for name, table in found.own.items():
        if table["base_url"] == base:
            table["models"].append(model)
            return name
    name = f"own-{len(found.own) + 1}"
    table: dict[str, Any] = {"dialect": "openai_chat", "base_url": base, "models": [model]}
    key = str(params.get("api_key", ""))
    if key.startswith("os.environ/"):
        table["api_key_env"] = key.removeprefix("os.environ/")
    table |= {limit: params[limit] for limit in ("rpm", "tpm") if isinstance(params.get(limit), int)}
    found.own[name] = table
    return name


def pal(text: str) -> Found:
    """pal-mcp-server's variables."""
    found = Found()
    variables = dict(_variables(text))
    default = variables.pop("DEFAULT_MODEL", "")
    if default and default != "auto":
        found.routing["model"] = default
    if base := variables.pop("CUSTOM_API_URL", ""):
        model = variables.pop("CUSTOM_MODEL_NAME", "") or "default"
        found.own["custom"] = {
            "dialect": "openai_chat",
            "base_url": base,
            "api_key_env": "CUSTOM_API_KEY",
            "models": [model],
        }
    for name, value in variables.items():
        if name.endswith("_ALLOWED_MODELS") and value:
            provider = {"google": "gemini"}.get(name[:-15].lower(), name[:-15].lower())
            found.allowed[provider] = [one.strip() for one in value.split(",") if one.strip()]
        elif name.endswith("_API_KEY"):
            if value and name != "CUSTOM_API_KEY":
                provider = name[:-8].lower()
                found.notes.append(
                    f"{name} is not copied: keep the variable, or store it with `plenum keys set {provider}`"
                )
        else:
            found.notes.append(f"{_short(name)} has no equal here")
    return found


def _variables(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, sign, value = line.strip().removeprefix("export ").partition("=")
        if sign and re.fullmatch(r"[A-Z][A-Z0-9_]*", name.strip()):
            yield name.strip(), value.split(" #")[0].strip().strip("'\"")


def toml(found: Found) -> str:
    """The configuration, notes first. Every text is written as a TOML string, whatever it holds."""
    lines = [f"# {note}" for note in found.notes] + ([""] if found.notes else [])
    for name, table in found.own.items():
        lines += [f"[providers.{_key(name)}]", *(f"{k} = {_value(v)}" for k, v in table.items() if k != "models")]
        lines += [
            line
            for model in table["models"]
            for line in (f"[[providers.{_key(name)}.models]]", f"id = {_value(model)}")
        ]
        lines.append("")
    for provider, models in found.allowed.items():
        lines += [f"[providers.{_key(provider)}]", f"models = {{ allow = {_value(models)} }}", ""]
    for title, table in (("models", found.models), ("routing", found.routing), ("routing.fallbacks", found.fallbacks)):
        if table:
            lines += [f"[{title}]", *(f"{_key(k)} = {_value(v)}" for k, v in table.items()), ""]
    return "\n".join(lines)


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True)  # JSON's strings, numbers and lists are TOML's


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _value(name)


def _short(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:60]


def _table(value: Any) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: Any) -> Sequence[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _tables(value: Any) -> Iterator[Mapping[str, Any]]:
    return (_table(one) for one in _list(value))


def _written(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise Exit(2, f"{file} is there already; nothing was changed. Name another file.") from None
    except OSError:
        raise Exit(2, f"{file} cannot be written. Name a file in a folder that exists.") from None
