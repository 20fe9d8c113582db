"""OpenAI itself: limits, and what its models refuse, by their names."""

from __future__ import annotations

from collections.abc import Iterator

from app.lab.refusals import chat
from app.lab.refusals.rule import Body, Kind, Offence, Rule, documented, of, reported

_REFERENCE = "https://platform.openai.com/docs/api-reference/chat/create"
_REASONING_GUIDE = "https://platform.openai.com/docs/guides/reasoning"
#: models that think before they answer
_THINKING = r"^(o\d|gpt-5(?!.*-chat))"
#: … and whose effort is not `none` unless it is asked for
_ALWAYS_THINKING = r"^(o\d|gpt-5(?!\.\d)(?!.*-chat))"
_ID_CHARS = 40
_TOOLS = 128
_STOPS = 4
#: tokens a model can write, by the beginning of its name
_OUTPUT = {
    "gpt-4o": 16_384,
    "gpt-4.1": 32_768,
    "gpt-4-turbo": 4_096,
    "gpt-3.5-turbo": 4_096,
    "gpt-5": 128_000,
    "o1": 100_000,
    "o3": 100_000,
    "o4-mini": 100_000,
}


def _id_length(body: Body) -> Iterator[Offence]:
    for path, message in chat.messages(body):
        named = [(f"{place}.id", call.get("id")) for place, call in chat.calls(path, message)]
        for place, each in [*named, (f"{path}.tool_call_id", message.get("tool_call_id"))]:
            if len(str(each)) > _ID_CHARS:
                expected = f"Expected a string with maximum length {_ID_CHARS}"
                got = f"but got a string with length {len(str(each))} instead."
                yield Offence(place, f"Invalid '{{field}}': string too long. {expected}, {got}")


def _too_many_tools(body: Body) -> Iterator[Offence]:
    yield from _too_many("tools", len(body.get("tools") or ()), _TOOLS)


def _too_many_stops(body: Body) -> Iterator[Offence]:
    stop = body.get("stop")
    yield from _too_many("stop", len(stop) if isinstance(stop, list) else 0, _STOPS)


def _too_many(field: str, count: int, most: int) -> Iterator[Offence]:
    if count > most:
        expected = f"Expected an array with maximum length {most}, but got an array with length {count} instead."
        yield Offence(field, f"Invalid '{{field}}': array too long. {expected}")


def _no_tools(body: Body) -> Iterator[Offence]:
    if body.get("tools") == []:
        expected = "Expected an array with minimum length 1, but got an empty array instead."
        yield Offence("tools", f"Invalid 'tools': empty array. {expected}")


def _tool_settings(body: Body) -> Iterator[Offence]:
    for name in ("tool_choice", "parallel_tool_calls"):
        if body.get(name) is not None and not body.get("tools"):
            only = f"'{name}' is only allowed when 'tools' are specified."
            yield Offence(name, f"Invalid value for '{name}': {only}")


def _max_tokens(body: Body) -> Iterator[Offence]:
    if body.get("max_tokens") is not None:
        instead = "Use 'max_completion_tokens' instead."
        yield Offence("max_tokens", f"Unsupported parameter: 'max_tokens' is not supported with this model. {instead}")


def _output_limit(body: Body) -> Iterator[Offence]:
    most = next((limit for name, limit in _OUTPUT.items() if body["model"].startswith(name)), None)
    for name in ("max_completion_tokens", "max_tokens"):
        asked = body.get(name)
        if most is not None and asked is not None and asked > most:
            supports = f"This model supports at most {most} completion tokens, whereas you provided {asked}."
            yield Offence(name, f"{name} is too large: {asked}. {supports}")


def _samplers(body: Body) -> Iterator[Offence]:
    for name, default in (("temperature", 1), ("top_p", 1), ("presence_penalty", 0), ("frequency_penalty", 0)):
        value = body.get(name)
        if value is not None and value != default:
            only = f"Only the default ({default}) value is supported."
            yield Offence(name, f"Unsupported value: '{name}' does not support {value} with this model. {only}")


def _samplers_beside_effort(body: Body) -> Iterator[Offence]:
    if body.get("reasoning_effort") not in (None, "none"):
        yield from _samplers(body)


def _stop(body: Body) -> Iterator[Offence]:
    if body.get("stop"):
        yield Offence("stop", "Unsupported parameter: 'stop' is not supported with this model.")


def _search_samplers(body: Body) -> Iterator[Offence]:
    samplers = ("frequency_penalty", "presence_penalty", "temperature", "top_p", "n", "seed", "logprobs")
    sent = [name for name in samplers if body.get(name) is not None]
    if sent:
        argument = "argument" if len(sent) == 1 else "arguments"
        yield Offence("", f"Model incompatible request {argument} supplied: {', '.join(sent)}")


def _no_effort(body: Body) -> Iterator[Offence]:
    if body.get("reasoning_effort") is not None:
        yield Offence("reasoning_effort", "Unrecognized request argument supplied: reasoning_effort")


def _effort_beside_tools(body: Body) -> Iterator[Offence]:
    if body.get("tools") and body.get("reasoning_effort") not in (None, "none"):
        yield _effort_or_tools(body)


def _tools_without_none(body: Body) -> Iterator[Offence]:
    if body.get("tools") and body.get("reasoning_effort") != "none":
        yield _effort_or_tools(body)


def _effort_or_tools(body: Body) -> Offence:
    model = body["model"]
    return Offence(
        "reasoning_effort",
        f"Function tools with reasoning_effort are not supported for {model} in /v1/chat/completions. Please use "
        "/v1/responses instead.",
    )


def _no_word_json(body: Body) -> Iterator[Offence]:
    if (body.get("response_format") or {}).get("type") == "json_object":
        said = "".join(chat.text_of(message) for _, message in chat.messages(body))
        if "json" not in said.lower():
            use = "to use 'response_format' of type 'json_object'."
            yield Offence("messages", f"'messages' must contain the word 'json' in some form, {use}")


def _streamed(body: Body) -> Iterator[Offence]:
    if body.get("stream"):
        yield Offence(
            "stream",
            "Your organization must be verified to stream this model. Please go to: "
            "https://platform.openai.com/settings/organization/general and click on Verify Organization.",
        )


RULES = (
    Rule(
        id="openai-call-id-length",
        kinds=of(Kind.OPENAI),
        about="ids of calls over 40 characters",
        source=reported("microsoft/autogen#6377, vercel/ai#8132, Portkey-AI/gateway#1062"),
        check=_id_length,
        code="string_above_max_length",
    ),
    Rule(
        id="chat-tool-count",
        kinds=of(Kind.OPENAI, Kind.DEEPSEEK, Kind.GROQ),
        about="more than 128 tools",
        source=reported("vishalmysore/Tools4AI#16, anomalyco/opencode#4909"),
        check=_too_many_tools,
        code="array_above_max_length",
    ),
    Rule(
        id="openai-no-tools",
        kinds=of(Kind.OPENAI),
        about="an empty list of tools",
        source=documented(_REFERENCE),
        check=_no_tools,
        code="empty_array",
    ),
    Rule(
        id="openai-tool-settings",
        kinds=of(Kind.OPENAI),
        about="tool_choice or parallel_tool_calls without tools",
        source=reported("openai/swarm#30, pydantic/pydantic-ai#4935"),
        check=_tool_settings,
    ),
    Rule(
        id="openai-stop-count",
        kinds=of(Kind.OPENAI, Kind.GROQ),
        about="more than four stop sequences",
        source=documented(_REFERENCE),
        check=_too_many_stops,
        code="array_above_max_length",
    ),
    Rule(
        id="openai-max-tokens",
        kinds=of(Kind.OPENAI),
        models=_THINKING,
        about="max_tokens to a model that thinks",
        source=documented(_REFERENCE),
        check=_max_tokens,
        code="unsupported_parameter",
    ),
    Rule(
        id="openai-output-limit",
        kinds=of(Kind.OPENAI),
        about="a limit beyond what the model can write",
        source=documented("https://platform.openai.com/docs/models"),
        check=_output_limit,
    ),
    Rule(
        id="openai-samplers",
        kinds=of(Kind.OPENAI),
        models=_ALWAYS_THINKING,
        about="sampling parameters other than the default to a model that thinks",
        source=documented(f"{_REASONING_GUIDE}; microsoft/vscode#253673"),
        check=_samplers,
        code="unsupported_value",
    ),
    Rule(
        id="openai-samplers-beside-effort",
        kinds=of(Kind.OPENAI),
        models=r"^gpt-5\.\d(?!.*-chat)",
        about="sampling parameters other than the default beside an effort other than none",
        source=documented("https://platform.openai.com/docs/guides/latest-model"),
        check=_samplers_beside_effort,
        code="unsupported_value",
    ),
    Rule(
        id="openai-stop",
        kinds=of(Kind.OPENAI),
        models=r"^(o3|o4-mini|gpt-5(?!.*-chat))",
        about="stop sequences to the models that think from o3 on",
        source=documented(_REFERENCE),
        check=_stop,
        code="unsupported_parameter",
    ),
    Rule(
        id="openai-search-samplers",
        kinds=of(Kind.OPENAI),
        models="-search-preview",
        about="any sampling parameter to a search preview",
        source=reported("vercel/ai#5609, ChatGPTNextWeb/NextChat#6569"),
        check=_search_samplers,
    ),
    Rule(
        id="openai-no-effort",
        kinds=of(Kind.OPENAI),
        models=r"^(gpt-3|gpt-4|chatgpt)",
        about="an effort to a model that does not think",
        source=documented(_REASONING_GUIDE),
        check=_no_effort,
    ),
    Rule(
        id="openai-effort-beside-tools",
        kinds=of(Kind.OPENAI),
        models=r"^gpt-5\.4",
        about="an effort beside tools, which exclude each other in chat completions",
        source=reported("pipecat-ai/pipecat#4043, openai/openai-openapi#541"),
        check=_effort_beside_tools,
    ),
    Rule(
        id="openai-tools-without-none",
        kinds=of(Kind.OPENAI),
        models=r"^gpt-5\.6",
        about="tools unless the effort is none",
        source=reported("BerriAI/litellm#34569, livekit/agents#7169"),
        check=_tools_without_none,
    ),
    Rule(
        id="chat-word-json",
        kinds=of(Kind.OPENAI, Kind.DEEPSEEK, Kind.GROQ),
        about="JSON mode where no message speaks of JSON",
        source=documented("https://platform.openai.com/docs/guides/structured-outputs"),
        check=_no_word_json,
    ),
    Rule(
        id="openai-unverified",
        kinds=of(Kind.OPENAI),
        models=_THINKING,
        about="a stream for an organisation that is not verified",
        source=reported("charmbracelet/crush#422, BeehiveInnovations/pal-mcp-server#134"),
        check=_streamed,
        code="unsupported_value",
        by_default=False,
    ),
)
