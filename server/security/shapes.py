"""What keys look like: one table for the format check of `keys set`, for redaction, and for secrets in prompts."""

import re

from .gated import Gated, words

# Vendors' own prefixes, as their documentation shows keys (2026-11); a check warns, it never refuses.
PREFIXES: dict[str, tuple[str, ...]] = {
    "openai": ("sk-",),
    "anthropic": ("sk-ant-",),
    "gemini": ("AIza", "AQ."),
    "xai": ("xai-",),
    "deepseek": ("sk-",),
    "openrouter": ("sk-or-",),
    "groq": ("gsk_",),
    "huggingface": ("hf_",),
    "perplexity": ("pplx-",),
    "cerebras": ("csk-",),
}
SHORTEST = 16  # no vendor's key is shorter

# name → pattern, each linear: a fixed beginning, then one bounded class.
SECRETS: dict[str, Gated] = {
    "private key": Gated(
        ("-----BEGIN ",),
        re.compile(
            r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[A-Za-z0-9+/=\s\\]{0,8192}(?:-----END [A-Z ]{0,20}PRIVATE KEY-----)?"
        ),
    ),
    "API key": Gated(
        ("sk-", "xai-", "gsk_", "pplx-", "hf_", "r8_", "nvapi-", "plenum_"),
        re.compile(
            r"(?<![A-Za-z0-9_-])(?:sk-(?:ant-|or-|proj-|svcacct-|admin-)?|xai-|gsk_|pplx-|csk-|hf_|r8_|nvapi-|plenum_)"
            r"[A-Za-z0-9_-]{16,256}"
        ),
    ),
    "Google API key": Gated(("AIza",), re.compile(r"(?<![A-Za-z0-9_-])AIza[A-Za-z0-9_-]{35}")),
    "AWS key": Gated(("AKIA", "ASIA"), re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])")),
    "GitHub token": Gated(
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        re.compile(r"(?<![A-Za-z0-9_])(?:gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9_]{22,255})"),
    ),
    "Slack token": Gated(("xox",), re.compile(r"(?<![A-Za-z0-9])xox[abeoprs]-[A-Za-z0-9-]{10,250}")),
    "Stripe key": Gated(("k_live_",), re.compile(r"(?<![A-Za-z0-9_])[rs]k_live_[A-Za-z0-9]{16,250}")),
    "JSON web token": Gated(
        (".eyJ",),
        re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,2048}\.eyJ[A-Za-z0-9_-]{10,4096}\.[A-Za-z0-9_-]{10,1024}"),
    ),
}
SIGNS = words(SECRETS.values())
BEARER = re.compile(
    r"(?i)(\b(?:bearer|x-api-key|x-goog-api-key|api-key|authorization)[\"']?\s{0,3}[:= ]\s{0,3}[\"']?)[^\s\"',;]{8,4096}"
)
URL_KEY = re.compile(r"(?i)([?&](?:key|api_key|access_token|token)=)[^&\s\"']{8,4096}")
URL_USER = re.compile(r"(?i)(://)[^/\s:@]{1,256}:[^/\s@]{1,256}@")


def doubt(provider: str, key: str) -> str:
    """Why this hardly is a key of that provider; empty where nothing is odd."""
    if any(c.isspace() for c in key) or not key.isascii() or not key.isprintable():
        return "it holds blanks or characters no key has"
    if len(key) < SHORTEST:
        return f"it has {len(key)} characters, and keys have at least {SHORTEST}"
    if key.startswith("$") or key.lower() in ("changeme", "your-api-key", "your_api_key_here"):
        return "it looks like a placeholder"
    known = PREFIXES.get(provider, ())
    if known and not key.startswith(known):
        return f"keys of {provider} begin with {' or '.join(known)}"
    return ""


def plausible(value: str) -> bool:
    """Whether a variable's value may be a secret: no word, no path, no number."""
    mixed = any(c.isalpha() for c in value) and any(c.isdigit() for c in value)
    return len(value) >= SHORTEST and mixed and not any(c.isspace() or c in "/\\" for c in value)
