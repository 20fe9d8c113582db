"""Gemini: how turns are written and how they follow each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.lab.refusals import contents
from app.lab.refusals.rule import Body, Kind, Offence, Rule, documented, of, reported

_ONLY = of(Kind.GEMINI)
_CONTENT = "https://ai.google.dev/api/caching#Content"
_CALLING = "https://ai.google.dev/gemini-api/docs/function-calling"
_SIGNATURES = "https://ai.google.dev/gemini-api/docs/thought-signatures"
#: what a part can hold, one of them
_DATA = {
    "text",
    "inline_data",
    "file_data",
    "function_call",
    "function_response",
    "executable_code",
    "code_execution_result",
    "tool_call",
    "tool_response",
}
#: what it can say of that beside
_BESIDE = {"thought", "thought_signature", "video_metadata", "media_resolution", "part_metadata"}
_CALL_KEYS = {"id", "name", "args"}
_RESPONSE_KEYS = {"id", "name", "response", "will_continue", "scheduling", "parts"}
_TYPES = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif", "application/pdf", "application/json")
_FAMILIES = ("audio/", "video/", "text/")


def _no_parts(body: Body) -> Iterator[Offence]:
    for path, content in contents.turns(body):
        if not content.get("parts"):
            yield Offence(f"{path}.parts", "* GenerateContentRequest.{field}: contents.parts must not be empty.\n")


def _no_data(body: Body) -> Iterator[Offence]:
    for path, part in contents.all_parts(body):
        if not {contents.snake(name) for name in part} & _DATA:
            must = "required oneof field 'data' must have one initialized field"
            yield Offence(f"{path}.data", f"* GenerateContentRequest.{{field}}: {must}\n")


def _part_keys(body: Body) -> Iterator[Offence]:
    for path, part in contents.all_parts(body):
        yield from _unknown(path, part, _DATA | _BESIDE)
        yield from _unknown(f"{path}.function_call", contents.get(part, "function_call"), _CALL_KEYS)
        yield from _unknown(f"{path}.function_response", contents.get(part, "function_response"), _RESPONSE_KEYS)


def _unknown(path: str, value: Any, known: set[str]) -> Iterator[Offence]:
    for key in value if isinstance(value, Mapping) else ():
        if contents.snake(key) not in known:
            unknown = f"Invalid JSON payload received. Unknown name \"{key}\" at '{{field}}': Cannot find field."
            yield Offence(path, unknown)


def _response_count(body: Body) -> Iterator[Offence]:
    asked = 0
    for _, content in contents.turns(body):
        given = len(contents.responses(content))
        if asked and given != asked:
            yield _uneven()
        asked = len(contents.calls(content))
    if asked:
        yield _uneven()


def _uneven() -> Offence:
    equal = "is equal to the number of function call parts of the function call turn."
    return Offence("", f"Please ensure that the number of function response parts {equal}")


def _orphaned_response(body: Body) -> Iterator[Offence]:
    asked = 0
    for _, content in contents.turns(body):
        if contents.responses(content) and not asked:
            after = "comes immediately after a function call turn."
            yield Offence("", f"Please ensure that function response turn {after}")
        asked = len(contents.calls(content))


def _call_turn(body: Body) -> Iterator[Offence]:
    before: str | None = None
    for _, content in contents.turns(body):
        role = content.get("role", "user")
        if contents.calls(content) and before not in ("user", "function"):
            after = "comes immediately after a user turn or after a function response turn."
            yield Offence("", f"Please ensure that function call turn {after}")
        before = role


def _objects(body: Body) -> Iterator[Offence]:
    for path, part in contents.all_parts(body):
        for kind, key in (("function_call", "args"), ("function_response", "response")):
            value = contents.get(contents.get(part, kind), key)
            if value is not None and not isinstance(value, Mapping):
                struct = "(type.googleapis.com/google.protobuf.Struct)"
                yield Offence(f"{path}.{kind}.{key}", f"Invalid value at '{{field}}' {struct}")


def _no_signature(body: Body) -> Iterator[Offence]:
    """The first call of each step since the user's last word; a response is none."""
    turns = list(contents.turns(body))
    spoken = [n for n, (_, each) in enumerate(turns) if each.get("role", "user") == "user" and _speaks(each)]
    for number, (path, content) in enumerate(turns):
        if number < max(spoken, default=-1) or not contents.calls(content):
            continue
        place, part = next(
            (place, part) for place, part in contents.parts(path, content) if contents.get(part, "function_call")
        )
        if not contents.get(part, "thought_signature"):
            yield Offence(
                place,
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                "work correctly, and missing thought_signature may lead to degraded model performance. Additional "
                f"data, function call `default_api:{contents.get(part, 'function_call').get('name')}` , position "
                f"{number + 1}. Please refer to {_SIGNATURES} for more details.",
            )


def _speaks(content: Mapping[str, Any]) -> bool:
    return not contents.responses(content)


def _lost_id(body: Body) -> Iterator[Offence]:
    asked: list[Mapping[str, Any]] = []
    for path, content in contents.turns(body):
        known = {each["id"] for each in asked if each.get("id")}
        for response in contents.responses(content) if known else ():
            if response.get("id") not in known:
                yield Offence(path, "Function response id does not match the id of a function call before it.")
        asked = contents.calls(content)


def _media_type(body: Body) -> Iterator[Offence]:
    for path, part in contents.all_parts(body):
        kind = contents.get(contents.get(part, "inline_data"), "mime_type")
        if kind is not None and kind not in _TYPES and not str(kind).startswith(_FAMILIES):
            yield Offence(f"{path}.inline_data.mime_type", f"Unsupported MIME type: {kind}")


RULES = (
    Rule(
        id="gemini-no-parts",
        kinds=_ONLY,
        about="a content without parts",
        source=documented(_CONTENT),
        check=_no_parts,
    ),
    Rule(
        id="gemini-no-data",
        kinds=_ONLY,
        about="a part that holds nothing",
        source=documented(_CONTENT),
        check=_no_data,
    ),
    Rule(
        id="gemini-part-keys",
        kinds=_ONLY,
        about="unknown keys in a part",
        source=documented(_CONTENT),
        check=_part_keys,
    ),
    Rule(
        id="gemini-orphaned-response",
        kinds=_ONLY,
        about="a function response behind anything but a function call",
        source=documented(_CALLING),
        check=_orphaned_response,
    ),
    Rule(
        id="gemini-response-count",
        kinds=_ONLY,
        about="not as many function responses as calls, at once behind them",
        source=documented(f"{_CALLING}; google-gemini/gemini-cli#16415"),
        check=_response_count,
    ),
    Rule(
        id="gemini-call-turn",
        kinds=_ONLY,
        about="function calls behind anything but a user's or a response's turn",
        source=documented(_CALLING),
        check=_call_turn,
    ),
    Rule(
        id="gemini-objects",
        kinds=_ONLY,
        about="args or a response that are no object",
        source=documented(_CONTENT),
        check=_objects,
    ),
    Rule(
        id="gemini-signature",
        kinds=_ONLY,
        models=r"gemini-[3-9]",
        about="the first call of a step of the current turn without its thoughtSignature",
        source=documented(f"{_SIGNATURES}; nanbingxyz/5ire#405"),
        check=_no_signature,
    ),
    Rule(
        id="gemini-lost-id",
        kinds=_ONLY,
        about="a response without the id that its call had",
        source=documented(f"{_CALLING}; router-for-me/CLIProxyAPI#5199"),
        check=_lost_id,
    ),
    Rule(
        id="gemini-media-type",
        kinds=_ONLY,
        about="images other than png, jpeg, webp, heic and heif, and names that are none",
        source=reported(
            "microsoft/vscode#286628, CherryHQ/cherry-studio#3088, brianpetro/obsidian-smart-connections#1238"
        ),
        check=_media_type,
    ),
)
