"""Google's `models/{model}:generateContent` and `:streamGenerateContent`, at the Gemini API and at Vertex.

Sources: google-genai SDK 3.4, recorded exchanges, ai.google.dev/gemini-api/docs/thought-signatures, guide providers §5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast
from urllib.parse import quote

from ..errors import Malformed, ProviderError
from ..types import (
    Answer,
    Delta,
    Embeddings,
    Image,
    Listed,
    ModelCard,
    Part,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
)
from . import Call
from ._draft import FINISH, NOTHING, CallDraft, Draft, sign, signed, usage
from ._errors import clamp_wait, classify, complaint
from ._json import count, dump, items, mapping, objects, read_json, scrub, string
from ._openai import vector
from ._write import Granted, arguments_of, base64_of, budget, grant, names_of_calls, system_text, with_words

NAME = "gemini"
_MOST_BUDGET = 24_576  # the least of the maxima of the 2.5 generation
_MOST_STOPS = 5
# What Google documents for a history whose function calls another model made.
_NO_SIGNATURE = "skip_thought_signature_validator"
_FIELDS = {
    "temperature": "temperature",
    "top_p": "topP",
    "seed": "seed",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
}
# Vertex may write the enumeration as numbers; above these the two APIs number differently.
_NUMBERED = {1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER"}


class Fold:
    """Folds responses of one shape, whole or streamed; usage is cumulative, so the last one counts."""

    __slots__ = ("_draft", "_usage", "done")

    def __init__(self) -> None:
        self.done = False
        self._draft = Draft(unknown_finish="error")  # Google adds new ways to fail, not new ways to succeed
        self._usage: Any = None

    def event(self, name: str, data: bytes) -> Sequence[Delta]:
        if data.strip() == b"[DONE]":
            self.done = True
            return NOTHING
        return self._response(name, self._draft.read(data))

    def whole(self, body: Any) -> Sequence[Delta]:
        responses: list[Any] = objects(body) if isinstance(body, list) else [body]  # a stream without `alt=sse`
        deltas = [delta for response in responses for delta in self._response("", self._draft.read_whole(response))]
        if not any(response.get("candidates") or response.get("promptFeedback") for response in responses):
            raise Malformed("The provider sent an answer without a candidate.")
        self.done = True
        return deltas

    def answer(self) -> Answer:
        return self._draft.answer(_usage(self._usage))

    def _response(self, name: str, response: Any) -> Sequence[Delta]:
        draft = self._draft
        self._usage = response.get("usageMetadata") or self._usage
        if response.get("error") or name == "error":
            raise draft.failure(response)
        draft.model = string(response.get("modelVersion")) or draft.model
        draft.request_id = string(response.get("responseId")) or draft.request_id
        for candidate in objects(response.get("candidates")):
            if not candidate.get("index"):
                return self._candidate(candidate)
        if reason := string(mapping(response.get("promptFeedback")).get("blockReason")):
            draft.finish_raw = reason
            draft.refusal.append(f"the prompt was blocked: {reason}")
        return NOTHING

    def _candidate(self, candidate: Mapping[str, Any]) -> Sequence[Delta]:
        deltas: list[Delta] = []
        for part in objects(mapping(candidate.get("content")).get("parts")):
            deltas += self._part(part)
        finish = candidate.get("finishReason")
        if finish := _NUMBERED.get(finish, "") if isinstance(finish, int) else string(finish):
            self._draft.finish_raw = finish
            why = string(candidate.get("finishMessage"))
            if why and FINISH.get(finish.lower()) == "content_filter":
                self._draft.refusal.append(why)
        return deltas

    def _part(self, part: Mapping[str, Any]) -> tuple[Delta, ...]:
        if isinstance(part.get("functionCall"), dict):
            return self._call(part["functionCall"], part.get("thoughtSignature"))
        thought = part.get("thought") is True
        return self._draft.think(0, part.get("text")) if thought else self._draft.say(part.get("text"))

    def _call(self, call: Mapping[str, Any], signature: Any) -> tuple[Delta, ...]:
        calls, arguments = self._draft.calls, dump(mapping(call.get("args")))
        calls[len(calls)] = CallDraft(
            string(call.get("id")), string(call.get("name")), arguments, sign(NAME, signature)
        )
        return (Delta("tool", scrub(arguments)),)


def _usage(raw: Any) -> Usage | None:
    """Output is candidates plus thoughts; what is absent is zero, but a prompt cannot have no tokens."""
    body = mapping(raw)
    if not any(name in body for name in ("promptTokenCount", "candidatesTokenCount", "totalTokenCount")):
        return None
    spoken, thought = body.get("candidatesTokenCount", 0), body.get("thoughtsTokenCount", 0)
    given, tools = body.get("promptTokenCount"), body.get("toolUsePromptTokenCount", 0)
    return usage(
        _sum(given, tools), _sum(spoken, thought), cached=body.get("cachedContentTokenCount"), reasoning=thought
    )


def _sum(*parts: Any) -> int | None:
    tokens = [count(part) for part in parts]
    return None if None in tokens else sum(cast("list[int]", tokens))


class Gemini:
    """The dialect `gemini`."""

    name = NAME
    framing = "sse"

    def headers(self, key: str | None) -> Mapping[str, str]:
        return {"x-goog-api-key": key} if key else {}

    def render(self, request: Request, card: ModelCard, *, stream: bool) -> Call:
        body, granted = _body(request, card)
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return Call(f"/{_model(card.id)}:{verb}", body, warnings=tuple(granted.warnings))

    def fold(self, card: ModelCard) -> Fold:  # noqa: ARG002 - this wire has no quirks in its answers
        return Fold()

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """Class an error; the wait and the kind of quota stand in the body's details."""
        found = complaint(status, headers, body)
        try:
            value = read_json(body)
        except Malformed:
            return classify(found)
        head = mapping(next(iter(items(value)), value))  # a stream's error comes in an array
        details = objects(mapping(head.get("error")).get("details"))
        quotas = [string(v.get("quotaId")) for detail in details for v in objects(detail.get("violations"))]
        reasons = [string(detail.get("reason")) for detail in details]
        words = tuple(word.lower()[:100] for word in (*reasons, *quotas) if word)
        waits = (_delay(string(detail.get("retryDelay"))) for detail in details)
        after = found.after or next((wait for wait in waits if wait), None)
        return classify(replace(found, words=(*found.words, *words), after=after))

    def render_embed(self, texts: Sequence[str], model: str) -> Call:
        name = _model(model)
        requests = [{"model": name, "content": {"parts": [{"text": text}]}} for text in texts]
        return Call(f"/{name}:batchEmbedContents", {"requests": requests})

    def parse_embed(self, body: Any) -> Embeddings:
        """Of `:batchEmbedContents`; `:embedContent` answers one, as `embedding`."""
        rows = objects(mapping(body).get("embeddings") or [mapping(body).get("embedding")])
        if not rows:
            raise Malformed("The provider sent no embeddings.")
        return Embeddings(tuple(vector(row.get("values")) for row in rows), Usage(estimated=True))

    def render_list(self) -> Call:
        return Call("/models?pageSize=1000", method="GET")

    def parse_list(self, body: Any) -> tuple[Sequence[Listed], str | None]:
        page = mapping(body)
        if not isinstance(page.get("models"), list):
            raise Malformed("The provider sent a model list that is none.")
        token = string(page.get("nextPageToken"))
        following = f"/models?pageSize=1000&pageToken={quote(scrub(token), safe='')}" if token else None
        return tuple(_listed(entry) for entry in objects(page["models"]) if string(entry.get("name"))), following

    def render_count(self, request: Request, card: ModelCard) -> Call:
        name = _model(card.id)
        body, _ = _body(request, card)
        return Call(f"/{name}:countTokens", {"generateContentRequest": {"model": name, **body}})

    def parse_count(self, body: Any) -> int:
        if (tokens := count(mapping(body).get("totalTokens"))) is None:
            raise Malformed("The provider sent no token count.")
        return tokens


dialect = Gemini()


def _model(model: str) -> str:
    return f"models/{quote(model.removeprefix('models/'), safe='')}"


def _delay(text: str) -> float | None:
    """Seconds of a protobuf duration, "34.4s"."""
    try:
        return clamp_wait(float(text.removesuffix("s")))
    except ValueError:
        return None


def _body(request: Request, card: ModelCard) -> tuple[dict[str, Any], Granted]:
    granted = grant(request, card)
    native = "json" in card.capabilities and not request.tools  # the two do not go together before Gemini 3
    body: dict[str, Any] = {"contents": _contents(request, card)}
    if system := with_words(system_text(request), None if native else request.schema):
        body["systemInstruction"] = {"parts": [{"text": system}]}
    settings = {_FIELDS[name]: value for name, value in granted.values.items() if name in _FIELDS}
    if "stop" in granted.values:
        settings["stopSequences"] = list(request.stop[:_MOST_STOPS])
    if request.max_tokens is not None:
        settings["maxOutputTokens"] = request.max_tokens
    if request.schema is not None and native:
        settings |= {"responseMimeType": "application/json", "responseJsonSchema": request.schema}
    if granted.effort is not None:
        settings["thinkingConfig"] = _thinking(request, card, granted)
    if settings:
        body["generationConfig"] = settings
    if request.tools:
        body |= _tools(request, granted)
    return body, granted


def _thinking(request: Request, card: ModelCard, granted: Granted) -> dict[str, Any]:
    effort = granted.effort or "none"
    if effort == "none":
        return {"thinkingBudget": 0}
    if "budget_thinking" in card.flags:
        most = request.max_tokens if request.max_tokens is not None else card.max_output
        return {"includeThoughts": True, "thinkingBudget": min(budget(effort, most), _MOST_BUDGET)}
    return {"includeThoughts": True, "thinkingLevel": effort.upper()}


def _contents(request: Request, card: ModelCard) -> list[dict[str, Any]]:
    """User and model turns; neighbours of one role are joined: a step's results must stand in one turn."""
    names = names_of_calls(request.messages)
    contents: list[dict[str, Any]] = []
    for message in request.messages:
        if message.role == "system":
            continue
        role = "model" if message.role == "assistant" else "user"
        parts = [written for part in message.parts if (written := _part(part, names))]
        if "budget_thinking" not in card.flags:
            _sign_first_call(parts)
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        elif parts:
            contents.append({"role": role, "parts": parts})
    return contents


def _sign_first_call(parts: list[dict[str, Any]]) -> None:
    """Gemini 3 answers 400 where the first call of a step has no signature."""
    first = next((part for part in parts if "functionCall" in part), None)
    if first is not None:
        first.setdefault("thoughtSignature", _NO_SIGNATURE)


def _part(part: Part, names: Mapping[str, str]) -> dict[str, Any] | None:
    match part:
        case Text():
            return {"text": part.text} if part.text else None
        case Image():
            if part.url:
                return {"fileData": {"mimeType": part.media_type, "fileUri": part.url}}
            return {"inlineData": {"mimeType": part.media_type, "data": base64_of(part)}}
        case ToolCall():
            call = {"functionCall": {"id": part.id, "name": part.name, "args": arguments_of(part)}}
            raw = signed(NAME, part.signature)
            return {**call, "thoughtSignature": raw} if raw else call
        case ToolResult():
            name = part.name or names.get(part.id, "") or part.id
            answer = {"error" if part.is_error else "result": part.text}
            return {"functionResponse": {"id": part.id, "name": name, "response": answer}}
        case Reasoning():
            return None  # thinking is bound to the calls' signatures, not to its text


def _tools(request: Request, granted: Granted) -> dict[str, Any]:
    choice = granted.tool_choice
    calling: dict[str, Any] = {"mode": {"auto": "AUTO", "none": "NONE"}.get(choice, "ANY")}
    if choice not in ("auto", "none", "required"):
        calling["allowedFunctionNames"] = [choice]
    if not request.parallel_tools:
        granted.warnings.append("parallel_tools=false was not sent: Gemini has no word for it")
    return {
        "tools": [{"functionDeclarations": [_tool(tool) for tool in request.tools]}],
        "toolConfig": {"functionCallingConfig": calling},
    }


def _tool(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "parametersJsonSchema": tool.parameters}


def _listed(entry: Mapping[str, Any]) -> Listed:
    """Limits only: of capabilities Google says too little to contradict the catalogue, except that a model embeds."""
    methods = entry.get("supportedGenerationMethods")
    embeds = isinstance(methods, list) and "embedContent" in methods and "generateContent" not in methods
    return Listed(
        id=scrub(string(entry["name"]).removeprefix("models/"))[:200],
        context_window=count(entry.get("inputTokenLimit")),
        max_output=count(entry.get("outputTokenLimit")),
        capabilities=frozenset({"embeddings"}) if embeds else None,
    )
