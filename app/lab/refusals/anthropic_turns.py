"""Anthropic: how turns are written and how they follow each other."""

from __future__ import annotations

from collections.abc import Iterator

from app.lab.refusals import claude
from app.lab.refusals.rule import Body, Kind, Offence, Rule, documented, of, reported
from app.lab.signatures import signed

_ONLY = of(Kind.ANTHROPIC)
_MESSAGES = "https://platform.claude.com/docs/en/api/messages"
_TOOL_USE = "https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use"
_THINKING = "https://platform.claude.com/docs/en/build-with-claude/extended-thinking"
_THOUGHTS = ("thinking", "redacted_thinking")


def _empty_content(body: Body) -> Iterator[Offence]:
    last = len(body["messages"]) - 1
    for number, (path, message) in enumerate(claude.messages(body)):
        if not message["content"] and not (number == last and message["role"] == "assistant"):
            except_for = "all messages must have non-empty content except for the optional final assistant message"
            yield Offence(path, f"{{field}}: {except_for}")


def _empty_text(body: Body) -> Iterator[Offence]:
    for place, said in _said(body):
        if any(not text for text in said):
            yield Offence("", f"{place}: text content blocks must be non-empty")


def _blank_text(body: Body) -> Iterator[Offence]:
    for place, said in _said(body):
        if said and all(text.isspace() for text in said):
            yield Offence("", f"{place}: text content blocks must contain non-whitespace text")


def _said(body: Body) -> Iterator[tuple[str, list[str]]]:
    """The text blocks of the system prompt and of each message; an empty string is a message without content."""
    if isinstance(body.get("system"), list):
        yield "system", claude.texts({"content": body["system"]})
    for _, message in claude.messages(body):
        if message["content"] != "":
            yield "messages", claude.texts(message)


def _missing_result(body: Body) -> Iterator[Offence]:
    turns = list(claude.messages(body))
    for number, (path, message) in enumerate(turns):
        following = turns[number + 1][1] if number + 1 < len(turns) else {}
        answered = _leading_results(following)
        waiting = [each for each in claude.ids(message, "tool_use", "id") if each not in answered]
        if waiting:
            must = "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
            found = f"`tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(waiting)}"
            yield Offence(path, f"{{field}}: {found}. {must}")


def _leading_results(message: object) -> list[str]:
    """Results count as long as no other block has come before them."""
    found: list[str] = []
    for _, block in claude.blocks("", message) if isinstance(message, dict) else ():
        if block.get("type") != "tool_result":
            break
        found.append(str(block.get("tool_use_id")))
    return found


def _orphaned_result(body: Body) -> Iterator[Offence]:
    before: list[str] = []
    for path, message in claude.messages(body):
        for place, block in claude.blocks(path, message):
            answers = block.get("tool_use_id")
            if block.get("type") == "tool_result" and answers not in before:
                must = "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
                found = f"unexpected `tool_use_id` found in `tool_result` blocks: {answers}"
                yield Offence(place, f"{{field}}: {found}. {must}")
        before = claude.ids(message, "tool_use", "id")


def _two_results(body: Body) -> Iterator[Offence]:
    for path, message in claude.messages(body):
        answered = claude.ids(message, "tool_result", "tool_use_id")
        for each in sorted({each for each in answered if answered.count(each) > 1}):
            found = f"Found multiple `tool_result` blocks with id: {each}"
            yield Offence(path, f"{{field}}: each tool_use must have a single result. {found}")


def _repeated_id(body: Body) -> Iterator[Offence]:
    seen: set[str] = set()
    for place, block in claude.all_blocks(body, "tool_use"):
        if block.get("id") in seen:
            yield Offence(place, "{field}: `tool_use` ids must be unique")
        seen.add(str(block.get("id")))


def _trailing_space(body: Body) -> Iterator[Offence]:
    last = body["messages"][-1]
    said = claude.texts(last)
    if last["role"] == "assistant" and said and said[-1] != said[-1].rstrip():
        yield Offence("", "messages: final assistant content cannot end with trailing whitespace")


def _prefill(body: Body) -> Iterator[Offence]:
    if body["messages"][-1]["role"] == "assistant" and claude.generation(body["model"]) >= (4, 6):
        must = "The conversation must end with a user message."
        yield Offence("", f"This model does not support assistant message prefill. {must}")


def _signature(body: Body) -> Iterator[Offence]:
    for place, block in claude.all_blocks(body, "thinking"):
        if "signature" not in block:
            yield Offence(f"{place}.thinking.signature", "{field}: Field required")
        elif not signed(str(block.get("thinking")), str(block["signature"])):
            yield Offence(place, "{field}: Invalid `signature` in `thinking` block")


def _lost_thought(body: Body) -> Iterator[Offence]:
    turns = list(claude.messages(body))
    if not claude.thinks(body) or len(turns) < 2 or not claude.ids(turns[-1][1], "tool_result", "tool_use_id"):
        return
    path, turn = turns[-2]
    first = next((block for _, block in claude.blocks(path, turn)), {"type": "text"})
    if first.get("type") not in _THOUGHTS:
        yield Offence(
            f"{path}.content.0.type",
            f"{{field}}: Expected `thinking` or `redacted_thinking`, but found `{first.get('type')}`. When `thinking` "
            "is enabled, a final `assistant` message must start with a thinking block (preceeding the lastmost set of "
            "`tool_use` and `tool_result` blocks). We recommend you include thinking blocks from previous turns. To "
            "avoid this requirement, disable `thinking`.",
        )


RULES = (
    Rule(
        id="claude-empty-content",
        kinds=_ONLY,
        about="a message without content, but for the assistant's last",
        source=documented(_MESSAGES),
        check=_empty_content,
    ),
    Rule(
        id="claude-empty-text",
        kinds=_ONLY,
        about="an empty text block",
        source=reported("anthropics/claude-code#59812, anthropics/anthropic-sdk-python#461"),
        check=_empty_text,
    ),
    Rule(
        id="claude-blank-text",
        kinds=_ONLY,
        about="nothing but white space in a message's texts",
        source=reported("anomalyco/opencode#31259, anthropics/claude-code#23440"),
        check=_blank_text,
    ),
    Rule(
        id="claude-missing-result",
        kinds=_ONLY,
        about="a call whose result is not in the next message, or stands there behind another block",
        source=documented(f"{_TOOL_USE}; Kilo-Org/kilocode#5163"),
        check=_missing_result,
    ),
    Rule(
        id="claude-orphaned-result",
        kinds=_ONLY,
        about="a result that answers no call of the message before it",
        source=documented(_TOOL_USE),
        check=_orphaned_result,
    ),
    Rule(
        id="claude-two-results",
        kinds=_ONLY,
        about="two results for one call",
        source=documented(_TOOL_USE),
        check=_two_results,
    ),
    Rule(
        id="claude-repeated-id",
        kinds=_ONLY,
        about="ids of calls that are not unique in the whole history",
        source=reported("brainlid/langchain#620, openclaw/openclaw#41119"),
        check=_repeated_id,
    ),
    Rule(
        id="claude-trailing-space",
        kinds=_ONLY,
        about="a last assistant turn that ends in white space",
        source=documented(
            "https://platform.claude.com/docs/en/build-with-claude/prompt-engineering/prefill-claudes-response"
        ),
        check=_trailing_space,
    ),
    Rule(
        id="claude-prefill",
        kinds=_ONLY,
        about="a last assistant turn, to 4.6 and later",
        source=documented(f"{_MESSAGES}; vercel/ai#12296, langchain-ai/deepagents#1585"),
        check=_prefill,
    ),
    Rule(
        id="claude-signature",
        kinds=_ONLY,
        about="a thought without its signature, or changed since it was signed",
        source=documented(_THINKING),
        check=_signature,
    ),
    Rule(
        id="claude-lost-thought",
        kinds=_ONLY,
        about="with thinking on, a tool loop whose assistant turn does not begin with its thought",
        source=documented(f"{_THINKING}; anomalyco/opencode#3077"),
        check=_lost_thought,
    ),
)
