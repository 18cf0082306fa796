"""Recorded answers of real models, and the house that plays them: deployments that say what was said, priced and timed.

The data (`zeroeval.*.jsonl.gz`, `mmlupro.*.jsonl.gz`, `models.json`) is not part of this repository. Questions split into
train and test, pools and latencies as in the guide fusion-and-routing, §2, §6 and §15.
"""

import gzip
import hashlib
import json
import math
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from itertools import pairwise
from pathlib import Path

import anyio

from providers.errors import Billed
from providers.simulator import Said, SimProvider
from providers.types import Answer, Message, ModelCard, Price, Request, Text, Usage
from routing.directory import Names, Naming
from routing.envelope import cost_usd
from routing.fusion.answers import Spec, extract, load
from routing.manager import ProviderManager
from routing.ports import Bill, Cost, Held
from routing.settings import RoutingSettings
from routing.types import Ask, Deployment

KINDS = {"pyliteral": "literal", "math": "math", "number": "number", "choice": "choice"}
_PEER = (
    "gpt-4o-2024-08-06, claude-3-5-sonnet-20241022, gemini-1.5-pro-exp-0827, grok-2-1212, Mistral-Large-2, "
    "Llama-3.1-405B-Inst@sambanova, Qwen2.5-72B-Instruct"
)
_CHEAP = (
    "gpt-4o-mini-2024-07-18, gemini-1.5-flash-exp-0827, deepseek-v2.5-0908, Qwen2.5-72B-Instruct, "
    "Meta-Llama-3.1-70B-Instruct"
)
_MIXED = (
    "gpt-4o-2024-08-06, claude-3-5-sonnet-20241022, gpt-4o-mini-2024-07-18, deepseek-v2.5-0908, "
    "Meta-Llama-3.1-70B-Instruct, gemini-1.5-flash-exp-0827, Meta-Llama-3.1-8B-Instruct"
)
_STAR = "o1-mini-2024-09-12, gpt-4o-2024-08-06, claude-3-5-sonnet-20241022, gemini-1.5-pro-exp-0827, Mistral-Large-2"
_PRO_PEER = "gpt-4o-2024-05-13, gemini-1.5-pro-002, gemini-1.5-flash-002, Llama-3.1-70B-Instruct, deepseek-chat-v2"
POOLS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    name: (name.split()[0], tuple(models.split(", ")))
    for name, models in {
        **{
            f"{ds} {pool}": models
            for ds in ("crux", "math-l5")
            for pool, models in (("peer7", _PEER), ("cheap5", _CHEAP), ("mixed7", _MIXED), ("star5", _STAR))
        },
        "gsm peer7": "gpt-4o-2024-08-06, claude-3-5-sonnet-20241022, gemini-1.5-pro, Mistral-Large-2, "
        "Llama-3.1-405B-Inst@sambanova, deepseek-v2.5-0908, Qwen2-72B-Instruct",
        "gsm cheap5": "gpt-4o-mini-2024-07-18, gemini-1.5-flash, deepseek-v2.5-0908, Qwen2-72B-Instruct, "
        "Meta-Llama-3.1-70B-Instruct",
        "mmlu-pro peer5": _PRO_PEER,
        "mmlu-pro cheap5": "gemini-1.5-flash-002, Llama-3.1-70B-Instruct, deepseek-chat-v2, Llama-3.1-8B-Instruct, "
        "command-r",
        "mmlu-pro mixed9": f"{_PRO_PEER}, jamba-1.5-large, Llama-3.1-8B-Instruct, Mixtral-8x7B-Instruct, Phi-3-mini",
    }.items()
}
# seconds at p50, p90, p95, p99, max, of real requests (guide §15); whoever is not listed is like the row of its size
_SECONDS = {
    "gpt-4o": (1.01, 2.51, 3.77, 7.04, 13.1),
    "gpt-4o-mini": (1.36, 4.22, 6.14, 10.14, 19.2),
    "claude": (3.79, 6.01, 6.75, 8.38, 10.2),
    "claude-3-haiku": (1.09, 1.40, 1.59, 2.09, 6.3),
    "gemini-1.5-pro": (1.48, 2.78, 3.13, 3.94, 9.0),
    "gemini-1.5-flash": (0.73, 1.12, 1.28, 1.84, 7.3),
    "mistral-large": (2.00, 7.00, 10.13, 19.14, 42.5),
    "small": (0.72, 2.11, 4.75, 5.18, 8.5),
    "large": (2.18, 4.43, 5.30, 7.41, 26.1),
}
_SMALL = ("8b", "7b", "mini", "command-r", "nemo", "27b")


@dataclass(frozen=True, slots=True)
class Said1:
    """One recorded answer. `right` and `key` are by the product's own extraction, `recorded` as in the data."""

    text: str
    output: int
    span: str | None
    key: str | None
    right: bool
    recorded_span: str | None
    recorded: bool


@dataclass(slots=True)
class Question:
    """One recorded question; `verdicts` tells which keys are right."""

    id: str
    ds: str
    prompt: str
    spec: Spec
    input: int
    gold: str
    said: dict[str, Said1] = field(default_factory=dict[str, Said1])
    verdicts: dict[str, bool] = field(default_factory=dict[str, bool])

    def right(self, answer: object) -> bool:
        """Whether an answer given for this question is right."""
        if answer is None:
            return False
        key = load(self.spec.kind).key(str(answer), self.spec)
        return key is not None and self.verdicts.get(key, False)


def share(text: str) -> float:
    """A question's place in [0, 1) for splitting."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32


def trains(question: Question) -> bool:
    """Whether a question belongs to the labelled part."""
    return share("s" + question.id.split("/", 1)[1]) < (0.25 if question.ds == "mmlu-pro" else 0.4)


def read(folder: Path) -> dict[str, list[Question]]:
    """All questions by set. Raises FileNotFoundError where the folder holds none."""
    files = sorted(p for stem in ("zeroeval", "mmlupro") for p in folder.glob(f"{stem}.*.jsonl.gz"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no zeroeval.*.jsonl.gz or mmlupro.*.jsonl.gz")
    sets: dict[str, list[Question]] = defaultdict(list)
    for path in files:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                question = _question(json.loads(line))
                sets[question.ds].append(question)
    return dict(sets)


def _question(row: dict) -> Question:
    options = tuple(row.get("options") or ())
    spec = Spec(KINDS[row["kind"]], options)
    listed = "".join(f"\n({chr(65 + at)}) {option}" for at, option in enumerate(options))
    prompt = f"{row['q']}\n{listed}" if options else row["q"]
    question = Question(row["id"], row["ds"], prompt, spec, row["pt"], str(row["gold"]))
    found = {model: extract(said["t"], spec) for model, said in row["m"].items()}
    gold = load(spec.kind).key(question.gold, spec)
    for model, said in row["m"].items():
        if (answer := found[model]) and answer.span == said["a"]:
            question.verdicts.setdefault(answer.key, bool(said["c"]))
    if gold is not None:
        question.verdicts.setdefault(gold, True)
    for model, said in row["m"].items():
        answer = found[model]
        span, key = (answer.span, answer.key) if answer else (None, None)
        right = bool(said["c"]) if span is not None and span == said["a"] else question.verdicts.get(key or "", False)
        question.said[model] = Said1(
            said["t"], said["n"], span, key, key is not None and right, said["a"], bool(said["c"])
        )
    return question


def asked_of(sets: Mapping[str, Sequence[Question]], ds: str, models: Sequence[str]) -> list[Question]:
    """Questions of a set that all these models answered."""
    return [q for q in sets.get(ds, ()) if all(model in q.said for model in models)]


def prices(folder: Path) -> dict[str, tuple[str, Price]]:
    """Provider and price of each model, USD per million tokens."""
    rows = json.loads((folder / "models.json").read_text())
    return {
        m: (r["provider"], Price(float(r["usd_per_mtok_in"]), float(r["usd_per_mtok_out"]))) for m, r in rows.items()
    }


def accuracy(model: str, questions: Iterable[Question], *, recorded: bool = False) -> float:
    """(hits + 1) / (n + 2)."""
    marks = [q.said[model].recorded if recorded else q.said[model].right for q in questions]
    return (sum(marks) + 1) / (len(marks) + 2)


@cache
def _row(model: str) -> tuple[float, ...]:
    name = model.lower()
    for known in (
        "gpt-4o-mini",
        "gpt-4o",
        "claude-3-haiku",
        "claude",
        "gemini-1.5-pro",
        "gemini-1.5-flash",
        "mistral-large",
    ):
        if known in name:
            return _SECONDS[known]
    return _SECONDS["small" if any(mark in name for mark in _SMALL) else "large"]


def seconds(model: str, question: str) -> float:
    """A latency drawn from the model's quantiles, the same for the same question."""
    at = share(f"latency {model} {question}")
    row = _row(model)
    points = ((0.0, row[0] / 3), (0.5, row[0]), (0.9, row[1]), (0.95, row[2]), (0.99, row[3]), (1.0, row[4]))
    for (low, start), (high, end) in pairwise(points):
        if at <= high:
            return start * math.exp(math.log(end / start) * (at - low) / (high - low))
    return row[4]


class Till:
    """A purse that books every call at its price, cancelled ones at the tokens that came."""

    @asynccontextmanager
    async def hold(self, bill: Bill) -> AsyncGenerator[Held]:
        yield _Held(bill.deployment.price or Price(0.0, 0.0), bill.input_tokens)

    def room_usd(self, ask: Ask, deployment: Deployment | None = None) -> None:
        return None


@dataclass(frozen=True, slots=True)
class _Held:
    price: Price
    bound: int

    def settle(self, answer: Answer) -> Cost:
        return Cost(cost_usd(self.price, answer.usage.input, answer.usage.output), "priced")

    def abandon(self, billed: Billed, answer: Answer | None) -> Cost:
        if billed == "no" or answer is None:
            return Cost(0.0, "estimated")
        return Cost(cost_usd(self.price, answer.usage.input, answer.usage.output), "estimated")


async def _sleep(seconds: float) -> None:
    if seconds:  # texts come at once: their pieces need no turn of the loop each
        await anyio.sleep(seconds)


class House:
    """The product's manager over models that say what they said. `quality` is what their cards claim."""

    def __init__(
        self,
        questions: Sequence[Question],
        models: Mapping[str, tuple[str, Price]],
        quality: Mapping[str, Mapping[str, float]],
    ) -> None:
        self._by_prompt = {question.prompt: question for question in questions}
        opener = SimProvider(answers=self._answer, sleep=_sleep)
        self.deployments = [
            Deployment(
                provider=models[model][0],
                model=model,
                endpoint=models[model][0],
                card=ModelCard(
                    model,
                    family=models[model][0],
                    context_window=128_000,
                    max_output=16_384,
                    capabilities=frozenset({"streaming", "sampling", "json"}),
                    quality=known,
                ),
                price=models[model][1],
                opener=opener,
                group=model,
            )
            for model, known in quality.items()
        ]
        self.directory = Names(self.deployments, Naming(), today=lambda: date(2026, 1, 1))

    def manager(self, **parts) -> ProviderManager:
        """Must be made inside a running (virtual) loop."""
        return ProviderManager(
            self.directory,
            settings=RoutingSettings(max_price=None, deadline_s=600.0),
            purse=Till(),
            clock=anyio.current_time,
            **parts,
        )

    def _answer(self, model: str, request: Request) -> Said:
        first = next(part.text for part in request.messages[-1].parts if isinstance(part, Text))
        question = self._by_prompt[first]
        said = question.said[model]
        usage = Usage(input=question.input, output=said.output)
        answer = Answer(
            text=said.text or " ",
            finish_reason="stop",
            usage=usage,
            usage_seen=True,
            model_returned=model,
            simulated=True,
        )
        return Said(answer, latency_s=seconds(model, question.id), token_s=0.0)


def request(question: Question) -> Request:
    """The question as a user would put it."""
    return Request((Message("user", (Text(question.prompt),)),))
