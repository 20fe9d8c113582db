"""A history as every format can write it: results behind their calls, each id once, nothing blank, user turns first."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from app import nesting
from app.errors import BadRequest
from app.providers.base import ChatRequest, Message, ToolCall
from app.providers.conversation import SYSTEM, Block, File, Image, Refusal, Text, google_signature
from app.providers.wire.spelling import Alphabet, Names

#: stands for the result of a call that got none, which every provider refuses
NO_RESULT = "(no result)"
#: stands for a user's turn that says nothing, where such a turn is refused
EMPTY = "(empty message)"
#: stands before an assistant who speaks first, where the user has to
OPENING = "(The assistant begins.)"
#: stands behind an assistant who spoke last, where the user has to
CONTINUE = "Continue."
#: stands between results and who speaks behind them, where only the assistant may
RECEIVED = "(The results have arrived.)"
#: stands for a signature of Gemini's, documented for conversations that come from elsewhere:
#: https://ai.google.dev/gemini-api/docs/thought-signatures
NO_SIGNATURE = "skip_thought_signature_validator"
#: Anthropic's advice for arguments that are no JSON object
BROKEN_ARGUMENTS = "INVALID_JSON"


def arranged(request: ChatRequest, ids: Alphabet, names: Names) -> tuple[Message, ...]:
    """Each result directly behind the turn that called for it, in the order of the calls; names and ids as sent.

    A result belongs to the nearest call of its id before it. Raises BadRequest for one that belongs to none.
    """
    messages = request.messages
    if not any(message.tool_calls or message.role == "tool" for message in messages):
        return messages
    results = _results(messages)
    taken: set[str] = set()
    written: list[Message] = []
    for place, message in enumerate(messages):
        if message.role == "tool":
            continue
        if not message.tool_calls:
            written.append(message)
            continue
        calls = tuple(_call(call, ids, taken, names) for call in message.tool_calls)
        written.append(message if calls == message.tool_calls else replace(message, tool_calls=calls))
        for number, call in enumerate(calls):
            result = results.get((place, number), Message("tool", NO_RESULT))
            written.append(replace(result, tool_call_id=call.id, name=call.name))
    return tuple(written)


def _call(call: ToolCall, ids: Alphabet, taken: set[str], names: Names) -> ToolCall:
    call_id, name = ids.spelled(call.id, taken), names.sent(call.name)
    taken.add(call_id)
    return call if call_id == call.id and name == call.name else replace(call, id=call_id, name=name)


def _results(messages: Sequence[Message]) -> dict[tuple[int, int], Message]:
    """Place of a turn and of a call in it → its result."""
    waiting: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    found: dict[tuple[int, int], Message] = {}
    for place, message in enumerate(messages):
        for number, call in enumerate(message.tool_calls):
            waiting[call.id].append((place, number))
        if message.role == "tool":
            calls = waiting[message.tool_call_id or ""]
            if not calls:
                raise BadRequest(
                    f"no call {message.tool_call_id!r} that waits for a result stands before this tool message:"
                    " send it behind the assistant's turn with that call, once",
                    field=f"messages.{place}.tool_call_id",
                )
            latest = calls[-1][0]
            first = next(at for at, (turn, _) in enumerate(calls) if turn == latest)
            found[calls.pop(first)] = message
    return found


def is_idle(message: Message) -> bool:
    """Did the assistant say nothing and call nothing? Some providers refuse such a turn, and it tells none anything."""
    if message.role != "assistant" or message.tool_calls:
        return False
    if isinstance(message.content, str):
        return not message.content.strip()
    return not any(not isinstance(block, Text | Refusal) or block.text.strip() for block in message.content)


def is_bare(message: Message) -> bool:
    """Is it a text, and nothing else that a target could not be told?"""
    if not isinstance(message.content, str) or message.name:
        return False
    return not (message.tool_calls or message.reasoning or message.extra or message.unknown)


def blocks(message: Message) -> list[Block]:
    """The content, refusals as text, without blank texts: one behind another text is a part of that."""
    if isinstance(message.content, str):
        return [Text(message.content)] if message.content.strip() else []
    kept: list[Block] = []
    for block in message.content:
        if isinstance(block, Refusal):
            block = Text(block.text, block.cache)
        last = kept[-1] if kept else None
        if not isinstance(block, Text) or block.text.strip():
            kept.append(block)
        elif isinstance(last, Text):
            kept[-1] = Text(last.text + block.text, block.cache or last.cache)
    return kept


def system_texts(messages: Iterable[Message]) -> list[Text]:
    """Raises BadRequest where a system message holds anything but text."""
    return [
        _only_text(block, message.role) for message in messages if message.role in SYSTEM for block in blocks(message)
    ]


def _only_text(block: Block, role: str) -> Text:
    if isinstance(block, Text):
        return block
    raise BadRequest(f"a {role} message takes text only")


def text_of(message: Message) -> str:
    """All its text as one."""
    if isinstance(message.content, str):
        return message.content
    return "".join(block.text for block in message.content if isinstance(block, Text | Refusal))


def is_text(message: Message) -> bool:
    return isinstance(message.content, str) or all(isinstance(block, Text | Refusal) for block in message.content)


def turns(
    messages: Iterable[Message],
    assistant: str,
    key: str,
    write: Callable[[Message], list[dict[str, Any]]],
    text: Callable[[str], dict[str, Any]],
    idle: Callable[[Message], bool] = is_idle,
) -> list[dict[str, Any]]:
    """[{"role": …, key: blocks}], as Anthropic and Gemini want them.

    System messages are left out, everything that is not the assistant's is the user's (tool results too), neighbours
    of one role are one turn, none is empty, and the user's is the first. `text` writes a block of text.
    """
    joined: list[dict[str, Any]] = []
    for message in messages:
        if message.role in SYSTEM or idle(message):
            continue
        role = assistant if message.role == "assistant" else "user"
        if joined and joined[-1]["role"] == role:
            joined[-1][key] += write(message)
        else:
            joined.append({"role": role, key: write(message)})
    for turn in joined:
        if not turn[key]:
            turn[key].append(text(EMPTY))
    if joined and joined[0]["role"] == assistant:
        joined.insert(0, {"role": "user", key: [text(OPENING)]})
    return joined


def refuse_nothing(is_nothing: bool) -> None:
    """Raises BadRequest for a history in which nobody says anything."""
    if is_nothing:
        raise BadRequest("the messages say nothing: send one with text, an image, a file or a tool's result")


def arguments(call: ToolCall) -> dict[str, Any]:
    """The arguments of an earlier tool call as an object; what is none, as text in one."""
    value = json_object(call.arguments.strip() or "{}")
    return {BROKEN_ARGUMENTS: call.arguments} if value is None else value


def json_object(text: str) -> dict[str, Any] | None:
    """None for text that is no JSON object, or one too deep to be written, or with numbers that JSON has not."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        value: dict[str, Any] = _STRICT.decode(text)
    except (ValueError, RecursionError):
        return None
    return value if nesting.beyond(value) is None else None


def _no_number(name: str) -> float:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(text)
    return number


#: json.loads makes a new decoder at every call, where it is asked for anything
_STRICT = json.JSONDecoder(parse_constant=_no_number, parse_float=_finite)


def left_out(request: ChatRequest, kept: frozenset[str], *, unowned: bool = False) -> list[str]:
    """What the conversation brings along that is not `kept`: it is meant for other providers. For Outgoing.dropped.

    `unowned`: see may_have.
    """
    found: set[str] = set()
    for message in request.messages:
        found.update(message.unknown)
        if message.name and message.role != "tool":
            found.add("name")
        if message.is_error:
            found.add("is_error")
        if message.role == "assistant":
            found.update(message.extra)
            if any(call.extra for call in message.tool_calls):
                found.add("extra_content")
            if any(call.cache for call in message.tool_calls):
                found.add("cache_control")
            if message.reasoning and not may_have(message, kept, unowned=unowned):
                found.add("reasoning_content")
        if not isinstance(message.content, str):
            found.update(_of_blocks(message.content))
    return sorted(found - kept)


def _of_blocks(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        if block.cache:
            yield "cache_control"
        if isinstance(block, Image) and block.detail:
            yield "image_url.detail"
        if isinstance(block, File) and block.name:
            yield "file.filename"


def may_have(message: Message, kept: frozenset[str], *, unowned: bool) -> bool:
    """Did this target give the turn, or, `unowned`, does the turn not say who did?

    What an assistant thought comes with the blocks or signatures that say whose thought it is, for those who sign.
    """
    signed = google_signature(message.extra.get("extra_content")) or any(
        google_signature(call.extra) for call in message.tool_calls
    )
    told = {name for name in ("thinking_blocks", "reasoning_details") if message.extra.get(name)}
    owners = told | ({"extra_content"} if signed else set())
    return not owners.isdisjoint(kept) if owners else unowned
