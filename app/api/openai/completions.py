"""POST /v1/completions: its body, read into a Call, and the answer in OpenAI's older shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.api import asking
from app.api.auth import caller
from app.api.names import Name
from app.api.openai import answer, extras, models
from app.api.openai.embeddings import inputs
from app.api.openai.fields import MODEL_LIMIT, MOST_TOKENS, Number, Whole
from app.api.sessions import session
from app.domain.keys import Treatment
from app.errors import InvalidRequest, TooLooError
from app.gateway.calls import Call, Reply
from app.gateway.gateway import ReplyStream
from app.providers.base import BEAT, WAIT, Answer, Choice, Completion, Finish, Message
from app.services import Services

#: what changes nothing of the answer
IGNORED = {"user"}
#: our names of what is said beside the prompt, by theirs
_PARAMETERS = ("max_tokens", "temperature", "top_p", "frequency_penalty", "presence_penalty", "seed")
#: they have no word for a tool
FINISH = {**answer.FINISH, Finish.TOOL: "stop"}


class _StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    include_usage: bool | None = None


class CompletionRequest(BaseModel):
    """What is honoured. `segment` and `require_parameters` are ours."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    model: Annotated[str, Field(min_length=1, max_length=MODEL_LIMIT)]
    #: a text; texts, tokens or lists of tokens to who has them
    prompt: Any
    suffix: str | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Annotated[Whole, Field(ge=0, le=MOST_TOKENS)] | None = None
    temperature: Annotated[Number, Field(ge=0, le=2)] | None = None
    top_p: Annotated[Number, Field(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[Number, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[Number, Field(ge=-2, le=2)] | None = None
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    seed: Whole | None = None
    n: Annotated[Whole, Field(ge=1, le=128)] | None = None
    echo: bool | None = None
    logprobs: Annotated[Whole, Field(ge=0, le=20)] | None = None
    best_of: Annotated[Whole, Field(ge=1, le=128)] | None = None
    segment: Name | None = None
    require_parameters: bool | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    call: Call
    stream: bool
    include_usage: bool


def read(document: Mapping[str, Any], services: Services, treatment: str | None) -> Asked:
    """Raises InvalidRequest that names the field, or UnknownModel. `treatment`: as for a chat."""
    said = {name: value for name, value in document.items() if value is not None and name not in IGNORED}
    wanted = _validated({name: value for name, value in said.items() if name in CompletionRequest.model_fields})
    chosen = models.choose_completion(services, wanted.model)
    own, required = caller().parameters, bool(wanted.require_parameters)
    how = extras.treatment(treatment, own, named=chosen.provider is not None, required=required)
    unknown = {name: value for name, value in said.items() if name not in CompletionRequest.model_fields}
    beside = extras.treated(unknown, how)
    completion = _completion(wanted)
    text = completion.prompt if isinstance(completion.prompt, str) else ""
    messages = (Message("user", text),)
    call = asking.call(
        chosen,
        messages,
        wanted.segment,
        completion=completion,
        parameters=_parameters(wanted),
        passed=extras.everywhere(how, chosen=bool(treatment or own), required=required),
        extra=beside.passed,
        omitted=beside.omitted,
        require_parameters=required or how is Treatment.STRICT,
        session=session(),
    )
    options = wanted.stream_options
    return Asked(call, bool(wanted.stream), bool(options and options.include_usage))


def _validated(document: Mapping[str, Any]) -> CompletionRequest:
    try:
        return CompletionRequest.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = str(first["loc"][0])
        raise InvalidRequest(f"{field}: {first['msg'].removeprefix('Value error, ')}", field=field) from None


def _completion(wanted: CompletionRequest) -> Completion:
    prompts = inputs(wanted.prompt, "prompt")
    if len(prompts) == 1 and isinstance(prompts[0], str):  # a list of one text is that text
        prompt: Any = prompts[0]
    else:
        prompt = wanted.prompt
    if wanted.best_of is not None and wanted.best_of < (wanted.n or 1):
        raise InvalidRequest("best_of must be at least n", field="best_of")
    return Completion(prompt, wanted.suffix, wanted.echo, wanted.logprobs, wanted.best_of)


def _parameters(wanted: CompletionRequest) -> dict[str, Any]:
    given = {name: getattr(wanted, name) for name in _PARAMETERS}
    given["n"] = wanted.n if (wanted.n or 1) > 1 else None
    given["stop"] = ((wanted.stop,) if isinstance(wanted.stop, str) else tuple(wanted.stop or ())) or None
    return {name: value for name, value in given.items() if value is not None}


def written(reply: Reply, created: int) -> dict[str, Any]:
    """text_completion; `tooloo` is ours."""
    return {
        "id": _id(reply.request_id),
        "object": "text_completion",
        "created": created,
        "model": str(reply.target),
        "choices": [_choice(choice) for choice in reply.answer.choices],
        "usage": answer.usage(reply.answer.usage),
        "tooloo": answer.facts(reply),
    }


def _id(request_id: str) -> str:
    return f"cmpl-{request_id.removeprefix('req-')}"


def _choice(choice: Choice) -> dict[str, Any]:
    text = choice.text + choice.refusal
    return {"text": text, "index": choice.index, "logprobs": choice.logprobs, "finish_reason": FINISH[choice.finish]}


def events(stream: ReplyStream, created: int, *, include_usage: bool) -> Iterator[bytes]:
    """The stream as server-sent events. What a model thinks has no place in this shape."""

    def chunk(choices: list[dict[str, Any]], **more: Any) -> bytes:
        head = {"id": _id(stream.request_id), "object": "text_completion", "created": created}
        blank = {"usage": None} if include_usage else {}
        document = {**head, "model": str(stream.target), "choices": choices, **blank, **more}
        return f"data: {answer.compact(document)}\n\n".encode()

    try:
        for delta in stream:
            if delta is BEAT or delta is WAIT:
                yield answer.HEARTBEAT if delta is BEAT else b""
            elif delta.words or delta.logprobs:
                piece = {"text": delta.words, "index": delta.choice, "logprobs": delta.logprobs, "finish_reason": None}
                yield chunk([piece])
    except TooLooError as failure:
        yield answer.error_event(failure)
        return
    assert stream.reply is not None
    for last in _ends(stream.reply.answer):
        yield chunk([last])
    if include_usage:
        yield chunk([], usage=answer.usage(stream.reply.answer.usage), tooloo=answer.facts(stream.reply))
    yield answer.DONE


def _ends(whole: Answer) -> Iterator[dict[str, Any]]:
    for each in whole.choices:
        yield {"text": "", "index": each.index, "logprobs": None, "finish_reason": FINISH[each.finish]}
