"""Carries out a cascade's plan: two cheap ones at once; equal answers are the answer, else the caller goes on.

Implements `Cascade` of `routing/ports.py`. What the cheap ones cost stays in the receipt either way.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio

from providers.types import Answer

from ..hedging import FAILURES
from ..ports import Out
from ..types import Ask, CascadePlan, Deployment
from .answers import Found, Spec, extract
from .infer import Wanted, spec


class Agreement:
    """Accepts what two agree on."""

    async def run(self, plan: CascadePlan, ask: Ask, call: Callable[[Deployment], Awaitable[Out]]) -> Out | None:
        """The better one's answer if all agree, None where they do not or one of them failed."""
        wanted = spec(ask.request.messages[-1].text, Wanted(schema=ask.request.schema))
        landed: dict[str, Out] = {}

        async def one(deployment: Deployment) -> None:
            with suppress(*FAILURES):  # in the receipt already; the strong one is asked then
                landed[deployment.name] = await call(deployment)

        async with anyio.create_task_group() as group:
            for deployment in plan.cheap:
                group.start_soon(one, deployment)
        answers = [landed[d.name] for d in plan.cheap if d.name in landed]
        keys = [found.key for answer in answers if (found := _found(answer.partial, wanted))]
        agreed = len(keys) == len(plan.cheap) and len(set(keys)) == 1
        return answers[0] if agreed else None


def _found(answer: Answer | None, wanted: Spec) -> Found | None:
    return extract(answer.text, wanted) if answer is not None and answer.text.strip() else None
