"""Turns and tools as Gemini takes them: https://ai.google.dev/api/caching#Content"""

from __future__ import annotations

from functools import partial
from typing import Any

from app.domain.targets.capabilities import Capabilities
from app.errors import Unsupported
from app.providers.base import ChatRequest, Message
from app.providers.conversation import Audio, Block, File, Image, Refusal, Text, google_signature
from app.providers.wire import history, media, tools
from app.providers.wire.spelling import GEMINI_IDS, Names

#: fields of a turn that come from Gemini, or that it has a word for
KEPT = frozenset({"extra_content", "is_error"})
#: the only images it reads: https://ai.google.dev/gemini-api/docs/image-understanding
IMAGES = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")


def told(can: Capabilities, request: ChatRequest, names: Names) -> tuple[dict[str, Any], list[str]]:
    """`contents`, `systemInstruction`, `tools` and `toolConfig`; and what of them it cannot be told.

    Raises BadRequest or Unsupported for what it cannot be told and must not be left out.
    """
    dropped = history.left_out(request, KEPT)
    definitions, lacking = _tools(request, names)
    messages = history.arranged(request, GEMINI_IDS, names)
    system = "\n\n".join(text.text for text in history.system_texts(messages))
    turns = history.turns(messages, "model", "parts", partial(_parts, can), _text)
    history.refuse_nothing(not turns and not system)
    if not turns:  # instructions alone are the user's words
        return {"contents": [{"role": "user", "parts": [_text(system)]}], **definitions}, [*dropped, *lacking]
    document: dict[str, Any] = {"contents": turns}
    if system:
        document["systemInstruction"] = {"parts": [_text(system)]}
    return document | definitions, [*dropped, *lacking]


def _parts(can: Capabilities, message: Message) -> list[dict[str, Any]]:
    if message.role == "tool":
        return _result(message)
    parts = [_part(block) for block in history.blocks(message)]
    if message.role != "assistant":
        return parts
    if signature := google_signature(message.extra.get("extra_content")):
        parts = parts or [_text("")]  # it came with no words
        parts[-1]["thoughtSignature"] = signature
    for position, call in enumerate(message.tool_calls):
        function = {"id": call.id, "name": call.name, "args": history.arguments(call)}
        part: dict[str, Any] = {"functionCall": function}
        if given := google_signature(call.extra):
            part["thoughtSignature"] = given
        elif position == 0 and can.signed_calls:  # of parallel calls only the first is signed
            part["thoughtSignature"] = history.NO_SIGNATURE
        parts.append(part)
    return parts


def _part(block: Block) -> dict[str, Any]:
    match block:
        case Text() | Refusal():
            return _text(block.text)
        case Image():
            found = media.inline(block.url, "an image")
            if found is not None and found.media_type not in IMAGES:
                text = f"this model takes no images of type {found.media_type}: only {', '.join(IMAGES)}"
                raise Unsupported(text, field=block.place or None)
            return _media(block.url, "an image")
        case File():
            if not block.url:
                text = "this model takes a file by its data or URL, not by an id"
                raise Unsupported(text, field=block.place or None)
            return _media(block.url, "a file")
        case Audio():
            return {"inlineData": {"mimeType": f"audio/{block.format}", "data": block.data}}


def _text(text: str) -> dict[str, Any]:
    return {"text": text}


def _media(url: str, what: str) -> dict[str, Any]:
    found = media.inline(url, what)
    if found is None:
        return {"fileData": {"fileUri": url}}
    return {"inlineData": {"mimeType": found.media_type, "data": found.data}}


def _result(message: Message) -> list[dict[str, Any]]:
    """A tool's result, and its images behind it. Gemini wants an object; anything else is wrapped in one."""
    text = history.text_of(message)
    value = history.json_object(text)
    if message.is_error:
        response: dict[str, Any] = {"error": text if value is None else value}
    else:
        response = {"result": text} if value is None else value
    given = {"id": message.tool_call_id, "name": message.name, "response": response}
    shown = [_part(block) for block in history.blocks(message) if not isinstance(block, Text)]
    return [{"functionResponse": given}, *shown]


def _tools(request: ChatRequest, names: Names) -> tuple[dict[str, Any], list[str]]:
    if not request.tools:
        return {}, []
    declared: list[dict[str, Any]] = []
    dropped: set[str] = set()
    for tool in tools.tools(request):
        function = tools.described(tool, names.sent(tool.name))
        if tool.parameters:
            function["parametersJsonSchema"], lost = tools.folded(tool.parameters)
            dropped.update(lost)
        dropped.update(f"tools.{name}" for name in tool.unknown)
        dropped.update({"tools.strict"} if tool.strict else ())
        dropped.update({"cache_control"} if tool.cache else ())
        declared.append(function)
    written: dict[str, Any] = {"tools": [{"functionDeclarations": declared}]}
    if request.tool_choice is not None:
        written["toolConfig"] = {"functionCallingConfig": _calling(request.tool_choice, names)}
    return written, sorted(dropped)


def _calling(choice: str, names: Names) -> dict[str, Any]:
    modes = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
    if choice in modes:
        return {"mode": modes[choice]}
    return {"mode": "ANY", "allowedFunctionNames": [names.sent(choice)]}
