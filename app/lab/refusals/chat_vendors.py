"""Vendors who speak the OpenAI format and refuse more, or other things, than OpenAI."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from app.lab.refusals import chat
from app.lab.refusals.rule import Body, Kind, Offence, Rule, documented, of, reported

_DEEPSEEK = "invalid_request_error"
#: how DeepSeek's server begins to say that it could not read a request
_UNREADABLE = "Failed to deserialize the JSON body into the target type"
_DEEPSEEK_OUTPUT = 8192
_THINKS = r"reasoner|deepseek-v4"
_GROQ = "https://console.groq.com/docs/openai"
_XAI = "https://docs.x.ai/developers/model-capabilities/text/reasoning"
_NINE = re.compile(r"[a-zA-Z0-9]{9}")


def _developer(body: Body) -> Iterator[Offence]:
    for path, _ in chat.messages(body, "developer"):
        expected = "expected one of `system`, `user`, `assistant`, `tool`"
        yield Offence(f"{path}.role", f"{_UNREADABLE}: {{field}}: unknown variant `developer`, {expected}")


def _other_parts(body: Body) -> Iterator[Offence]:
    for path, part in chat.all_parts(body):
        if part.get("type") != "text":
            message = path.split(".content")[0]
            yield Offence(message, f"{_UNREADABLE}: {{field}}: unknown variant `{part.get('type')}`, expected `text`")


def _deepseek_limit(body: Body) -> Iterator[Offence]:
    if (body.get("max_tokens") or 0) > _DEEPSEEK_OUTPUT:
        valid = f"the valid range of max_tokens is [1, {_DEEPSEEK_OUTPUT}]"
        yield Offence("max_tokens", f"Invalid max_tokens value, {valid}")


def _lost_reasoning(body: Body) -> Iterator[Offence]:
    for path, message in chat.current_turn(body):
        if _thinking(body) and message.get("reasoning_content") is None:
            yield Offence(path, "The `reasoning_content` in the thinking mode must be passed back to the API.")


def _forced_tool(body: Body) -> Iterator[Offence]:
    choice = body.get("tool_choice")
    if _thinking(body) and (choice == "required" or isinstance(choice, dict)):
        yield Offence("tool_choice", "Thinking mode does not support this tool_choice")


def _thinking(body: Body) -> bool:
    return bool((body.get("thinking") or {}).get("type") != "disabled")


def _json_schema(body: Body) -> Iterator[Offence]:
    if (body.get("response_format") or {}).get("type") == "json_schema":
        yield Offence("response_format", "This response_format type is unavailable now")


def _nine_characters(body: Body) -> Iterator[Offence]:
    for path, message in chat.messages(body):
        results = [message.get("tool_call_id")] if message.get("role") == "tool" else []
        for each in [*chat.call_ids(message), *results]:
            if not _NINE.fullmatch(str(each)):
                yield Offence(path, f"Tool call id was {each} but must be a-z, A-Z, 0-9, with a length of 9.")


def _last_role(body: Body) -> Iterator[Offence]:
    last = body["messages"][-1]
    if last.get("role") not in ("user", "tool") and not last.get("prefix"):
        expected = "Expected last role User or Tool (or Assistant with prefix True) for serving"
        yield Offence("", f"{expected} but got {last.get('role')}")


#: Mistral's: role → those that may stand behind it
_BEHIND = {
    "system": {"system", "user", "assistant"},
    "user": {"system", "user", "assistant"},
    "assistant": {"user", "assistant", "tool"},
    "tool": {"assistant", "tool"},
}


def _role_order(body: Body) -> Iterator[Offence]:
    roles = [str(message.get("role")) for _, message in chat.messages(body)]
    for before, role in pairwise(roles):
        if role not in _BEHIND.get(before, {role}):
            yield Offence("", f"Unexpected role '{role}' after role '{before}'")


def _groq_fields(body: Body) -> Iterator[Offence]:
    for name in ("logprobs", "top_logprobs", "logit_bias"):
        if body.get(name):
            yield Offence(name, f"property '{name}' is unsupported")
    if body.get("n") not in (None, 1):
        yield Offence("n", "'n' : number must be at most 1")
    for path, message in chat.messages(body):
        if "name" in message:
            yield Offence(f"{path}.name", f"'{path}' : property 'name' is unsupported")


def _xai_effort(body: Body) -> Iterator[Offence]:
    if body.get("reasoning_effort") is not None:
        yield _unknown_to_grok(body, "reasoning_effort", "reasoningEffort")


def _xai_penalties(body: Body) -> Iterator[Offence]:
    for name, spelled in (("presence_penalty", "presencePenalty"), ("frequency_penalty", "frequencyPenalty")):
        if body.get(name) is not None:
            yield _unknown_to_grok(body, name, spelled)


def _unknown_to_grok(body: Body, name: str, spelled: str) -> Offence:
    return Offence(name, f"Model {body['model']} does not support parameter {spelled}.")


def _one_temperature(body: Body) -> Iterator[Offence]:
    only = 0.6 if (body.get("thinking") or {}).get("type") == "disabled" else 1
    if body.get("temperature") not in (None, only):
        yield Offence("", f"invalid temperature: only {only} is allowed for this model")


def _empty_answer(body: Body) -> Iterator[Offence]:
    for path, message in chat.messages(body, "assistant"):
        if not message.get("tool_calls") and not chat.text_of(message).strip():
            position = path.split(".")[1]
            yield Offence(
                "", f"Invalid request: the message at position {position} with role 'assistant' must not be empty"
            )


def _lists(body: Body) -> Iterator[Offence]:
    for path, message in chat.messages(body, "system", "assistant"):
        if isinstance(message.get("content"), list):
            satisfied = f"[('{path}.content' : value must be a string)]"
            role = message["role"]
            yield Offence(path, f"'{path}' : for 'role:{role}' the following must be satisfied{satisfied}")


def _no_signature(body: Body) -> Iterator[Offence]:
    for path, message in chat.current_turn(body):
        place, call = next(chat.calls(path, message))
        google = (call.get("extra_content") or {}).get("google") or {}
        if not google.get("thought_signature"):
            name = (call.get("function") or {}).get("name")
            yield Offence(
                place,
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                "work correctly, and missing thought_signature may lead to degraded model performance. Additional "
                f"data, function call `default_api:{name}`. Please refer to "
                "https://ai.google.dev/gemini-api/docs/thought-signatures for more details.",
            )


RULES = (
    Rule(
        id="deepseek-developer",
        kinds=of(Kind.DEEPSEEK),
        about="the role developer",
        source=reported("earendil-works/pi#1048, eclipse-theia/theia#15144"),
        check=_developer,
        code=_DEEPSEEK,
    ),
    Rule(
        id="deepseek-parts",
        kinds=of(Kind.DEEPSEEK),
        about="an image, or any content part but text",
        source=reported("rikkahub/rikkahub#1433, jxxghp/MoviePilot#5863, zhukunpenglinyutong/jetbrains-cc-gui#591"),
        check=_other_parts,
        code=_DEEPSEEK,
    ),
    Rule(
        id="deepseek-max-tokens",
        kinds=of(Kind.DEEPSEEK),
        models=r"^deepseek-chat$",
        about="max_tokens beyond 8,192",
        source=reported("mnfst/llm-gateway#1177, router-for-me/CLIProxyAPI#599"),
        check=_deepseek_limit,
        code=_DEEPSEEK,
    ),
    Rule(
        id="deepseek-reasoning",
        kinds=of(Kind.DEEPSEEK),
        models=_THINKS,
        about="a turn of the current exchange that calls tools, without its reasoning_content",
        source=documented("https://api-docs.deepseek.com/guides/thinking_mode; earendil-works/pi#3636"),
        check=_lost_reasoning,
        code=_DEEPSEEK,
    ),
    Rule(
        id="deepseek-forced-tool",
        kinds=of(Kind.DEEPSEEK),
        models=_THINKS,
        about="a forced tool while it thinks",
        source=reported("deepseek-ai/DeepSeek-V3#1376, BerriAI/litellm#37470"),
        check=_forced_tool,
        code=_DEEPSEEK,
    ),
    Rule(
        id="deepseek-json-schema",
        kinds=of(Kind.DEEPSEEK),
        about="a JSON schema as response format",
        source=documented("https://api-docs.deepseek.com/guides/json_mode"),
        check=_json_schema,
        code=_DEEPSEEK,
    ),
    Rule(
        id="mistral-call-id",
        kinds=of(Kind.MISTRAL),
        about="ids of calls other than nine letters and digits",
        source=documented("https://mistralai.github.io/mistral-common/usage/tools; nearai/ironclaw#1241"),
        check=_nine_characters,
        type="invalid_function_call",
        code="3280",
    ),
    Rule(
        id="mistral-last-role",
        kinds=of(Kind.MISTRAL),
        about="a conversation that ends with neither the user nor a tool, without the mark of a prefix",
        source=documented("https://docs.mistral.ai/capabilities/completion/#other-useful-features"),
        check=_last_role,
        type="invalid_request_message_order",
        code="3230",
    ),
    Rule(
        id="mistral-role-order",
        kinds=of(Kind.MISTRAL),
        about="a user or system behind a tool, a system behind an assistant",
        source=reported(
            "mistralai/mistral-common: validator.py; BerriAI/litellm#17761, avante-corp/avante.nvim#2695, "
            "onyx-dot-app/onyx#6458"
        ),
        check=_role_order,
        type="invalid_request_message_order",
        code="3230",
    ),
    Rule(
        id="kimi-temperature",
        kinds=of(Kind.KIMI),
        models=r"kimi-(k2\.[5-9]|k3|for-coding|k2-thinking)",
        about="any temperature but 1, which is the only one (0.6 where it does not think)",
        source=reported("Warma10032/VideoAdGuard#34, NoFxAiOS/nofx#1415, HKUDS/DeepTutor#938"),
        check=_one_temperature,
    ),
    Rule(
        id="kimi-empty-answer",
        kinds=of(Kind.KIMI),
        about="an assistant turn without text and without a call",
        source=reported("AstrBotDevs/AstrBot#7200"),
        check=_empty_answer,
    ),
    Rule(
        id="groq-lists",
        kinds=of(Kind.GROQ),
        about="text of system or assistant as a list of parts",
        source=reported("OpenHands/OpenHands#4643, livekit/agents#1790"),
        check=_lists,
    ),
    Rule(
        id="groq-fields",
        kinds=of(Kind.GROQ),
        about="logprobs, logit_bias, names in messages, and more than one answer",
        source=documented(_GROQ),
        check=_groq_fields,
    ),
    Rule(
        id="xai-effort",
        kinds=of(Kind.XAI),
        # those that take one: grok-3-mini, grok-4.3 and later, grok-4.20-multi-agent
        models=r"grok-(3(?!-mini)|4(?!\.([3-9]|20-multi-agent))|code|build)",
        about="an effort to a model that thinks as it likes",
        source=documented(f"{_XAI}; NousResearch/hermes-agent#23435, BerriAI/litellm#16265"),
        check=_xai_effort,
        code="Client specified an invalid argument",
    ),
    Rule(
        id="xai-penalties",
        kinds=of(Kind.XAI),
        about="presence_penalty or frequency_penalty",
        source=reported("miaoxworld/NativeTavern#83, yym68686/uni-api#105"),
        check=_xai_penalties,
        code="Client specified an invalid argument",
    ),
    Rule(
        id="gemini-openai-signature",
        kinds=of(Kind.GEMINI_OPENAI),
        models=r"gemini-[3-9]",
        about="a call of the current turn without extra_content.google.thought_signature",
        source=documented("https://ai.google.dev/gemini-api/docs/thought-signatures; labring/aiproxy#450"),
        check=_no_signature,
    ),
)
