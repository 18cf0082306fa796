"""A house with a panel of programs: `panel(alpha="B", beta="C")` answers as told, through the real manager."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import anyio

from providers.errors import ProviderError
from providers.simulator import Said, SimProvider
from providers.types import Answer, Message, ModelCard, Price, Request, Text, Usage
from routing.directory import Names, Naming
from routing.events import AttemptEnded
from routing.fusion.ask import FuseAsk, FusionSettings
from routing.fusion.fusion import Fusion, Means
from routing.fusion.tally import Tally
from routing.manager import ProviderManager
from routing.types import Ask, Deployment

ABLE = frozenset({"streaming", "sampling", "json"})


def said(text: str, seconds: float = 1.0, **known) -> Said:
    answer = Answer(text=text, finish_reason="stop", usage=Usage(input=100, output=50), usage_seen=True)
    return Said(replace(answer, **known), latency_s=seconds, token_s=0.0)


class House:
    """The real manager and fusion over simulated providers. `asked` names every call, `requests` what it was told."""

    def __init__(self, members: dict[str, object], settings: FusionSettings, means: dict, cards: dict) -> None:
        self.asked: list[str] = []
        self.requests: dict[str, Request] = {}
        self.attempts: list[AttemptEnded] = []
        self.tally = Tally()
        deployments = [self._deployment(name, answer, cards.get(name, {})) for name, answer in members.items()]
        self.directory = Names(deployments, Naming(), today=lambda: date(2026, 1, 1))
        manager = {"purse": means["purse"]} if "purse" in means else {}
        self.manager = ProviderManager(
            self.directory, observer=self._observe, clock=anyio.current_time, **manager, **means.pop("manager", {})
        )
        tools = {"tally": self.tally, "clock": anyio.current_time, **means}
        self.fusion = Fusion(self.manager, self.directory, settings, Means(**tools))

    def _observe(self, event) -> None:
        self.tally(event)
        if isinstance(event, AttemptEnded):
            self.attempts.append(event)

    def _deployment(self, name: str, answer: object, known: dict) -> Deployment:
        provider, quality = name, known.get("quality", 0.8)
        card = ModelCard(
            "m",
            family=known.get("family", provider),
            context_window=128_000,
            max_output=16_384,
            capabilities=ABLE,
            quality={"default": quality},
        )
        opener = SimProvider(answers=self._answers(name, answer))
        group = known.get("group", f"{provider}-m")
        price = known.get("price", Price(1.0, 2.0))
        return Deployment(provider, "m", provider, card, price, opener, group=group)

    def _answers(self, name: str, answer: object) -> Callable[[str, Request], Said]:
        def answers(model: str, request: Request) -> Said:
            self.asked.append(name)
            self.requests[name] = request
            found = answer(request) if callable(answer) else answer
            if isinstance(found, ProviderError):
                raise found
            return found if isinstance(found, Said) else said(str(found))

        return answers

    async def fuse(self, prompt: str = "Which?\nA) one\nB) two\nC) three", tell=None, **known):
        ask = known.pop("ask", {})
        request = Request((Message("user", (Text(prompt),)),), **known.pop("request", {}))
        whole = FuseAsk(Ask(request, **ask), **known)
        return await (self.fusion.fuse(whole, tell) if tell else self.fusion.fuse(whole))
