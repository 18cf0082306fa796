"""What a person can start with a slash, and the completions of every argument and template variable."""

from collections.abc import Sequence
from typing import Any

from mcp.server.mcpserver import MCPServer, UserMessage
from mcp.types import CompleteRequestParams, CompleteResult, Completion, PromptReference

from routing.errors import Refusal
from server import callers
from server.house import House
from server.mcp.doors import lowlevel
from server.resources import PERIODS

MOST = 100  # values of one completion (specification)


def prompts(server: MCPServer[House], house: House) -> None:
    """Add the prompts and completions to `server`."""

    @server.prompt(title="Second opinion", description="Ask another model and compare it with your own answer.")
    def second_opinion(question: str, model: str = "auto") -> list[UserMessage]:  # pyright: ignore[reportUnusedFunction]
        return _say(
            f"Answer the question yourself first. Then call `generate` with model {model!r} and the same question, "
            f"compare the two answers point by point, and say which to trust where they differ.\n\n{question}"
        )

    @server.prompt(title="Settle", description="Ask several models and decide by their agreement.")
    def settle(question: str, options: str = "") -> list[UserMessage]:  # pyright: ignore[reportUnusedFunction]
        closed = f' with answer "choice" and choices {options}' if options else ""
        return _say(
            f"Call `fuse`{closed} with the question below. Report the answer, the agreement, the confidence and what "
            f"dissenters say; if needs_review is true, say what would settle it.\n\n{question}"
        )

    @server.prompt(title="Do it cheaper", description="Find a cheaper model that is good enough for a task.")
    def cheaper(task: str, model: str = "") -> list[UserMessage]:  # pyright: ignore[reportUnusedFunction]
        now = f" It runs on {model} now." if model else ""
        return _say(
            f'Call `list_models` and `costs`, then `generate` with explain=true and strategy="cost" for the task below. '
            f"Name the cheapest model that is good enough, what it saves, and what would be lost.{now}\n\n{task}"
        )

    @server.prompt(title="Explain my spending", description="Where the money went and what to change.")
    def explain_spend(period: str = "30d") -> list[UserMessage]:  # pyright: ignore[reportUnusedFunction]
        return _say(
            f'Call `costs` with period {period!r} and again with group_by "model". Explain in plain words where the money '
            "went, how the month will end, and the one or two changes that would save most."
        )

    async def complete(ctx: Any, params: CompleteRequestParams) -> CompleteResult:
        values = await _values(house, params, ctx)
        typed = params.argument.value.lower()
        near = sorted((v for v in values if typed in v.lower()), key=lambda v: (not v.lower().startswith(typed), v))
        return CompleteResult(completion=Completion(values=near[:MOST], total=len(near), has_more=len(near) > MOST))

    lowlevel(server).add_request_handler("completion/complete", CompleteRequestParams, complete)


def _say(text: str) -> list[UserMessage]:
    return [UserMessage(text)]


async def _values(house: House, params: CompleteRequestParams, ctx: Any) -> Sequence[str]:
    argument = params.argument.name
    if argument == "period":
        return PERIODS
    if argument == "id":
        return house.recent(callers.name(ctx))
    if argument not in ("model", "name", "provider"):
        return ()
    try:
        deployments = (await house.app()).directory.deployments()
    except Refusal:
        return ()
    if argument in ("name", "provider"):
        return list(dict.fromkeys(deployment.provider for deployment in deployments))
    if isinstance(params.ref, PromptReference):
        return [deployment.name for deployment in deployments]
    chosen = (params.context.arguments or {}).get("provider") if params.context else None
    return list(dict.fromkeys(d.model for d in deployments if chosen in (None, d.provider)))
