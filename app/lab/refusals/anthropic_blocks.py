"""Anthropic: what stands in a block."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.lab.refusals import claude
from app.lab.refusals.rule import Body, Kind, Offence, Rule, documented, of, reported

_ONLY = of(Kind.ANTHROPIC)
_MESSAGES = "https://platform.claude.com/docs/en/api/messages"
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_MARKS = 4
_RESULT = {"tool_use_id", "content"}
#: keys of a block beside `type` and `cache_control`
_KEYS: Mapping[str, set[str]] = {
    "text": {"text", "citations"},
    "image": {"source", "transformations"},
    "document": {"source", "title", "context", "citations"},
    "search_result": {"source", "title", "content", "citations"},
    "thinking": {"thinking", "signature"},
    "redacted_thinking": {"data"},
    "tool_use": {"id", "name", "input", "caller", "toolset_name"},
    "tool_result": {*_RESULT, "is_error", "toolset_name"},
    "server_tool_use": {"id", "name", "input", "caller"},
    "web_search_tool_result": {*_RESULT, "caller"},
    "web_fetch_tool_result": {*_RESULT, "caller"},
    "code_execution_tool_result": _RESULT,
    "bash_code_execution_tool_result": _RESULT,
    "text_editor_code_execution_tool_result": _RESULT,
    "tool_search_tool_result": _RESULT,
    "container_upload": {"file_id"},
    "browser_state": {"state_changes", "tabs"},
}
#: blocks that cannot be marked for the cache
_UNMARKED = ("thinking", "redacted_thinking")


def _type(body: Body) -> Iterator[Offence]:
    for place, block in _blocks(body):
        if block.get("type") not in _KEYS:
            expected = ", ".join(f"'{name}'" for name in _KEYS)
            found = f"Input tag '{block.get('type')}' found using 'type' does not match any of the expected tags"
            yield Offence(place, f"{{field}}: {found}: {expected}")


def _keys(body: Body) -> Iterator[Offence]:
    for place, block in _blocks(body):
        kind = str(block.get("type"))
        known = _KEYS.get(kind, set(block)) | {"type"} | (set() if kind in _UNMARKED else {"cache_control"})
        for key in sorted(set(block) - known):
            yield Offence(f"{place}.{kind}.{key}", "{field}: Extra inputs are not permitted")


def _blocks(body: Body) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Also of the system prompt, and those inside results."""
    yield from ((place.replace(".content", ""), block) for place, block in _of_system(body))
    for place, block in claude.all_blocks(body):
        yield place, block
        if block.get("type") == "tool_result":
            yield from claude.blocks(f"{place}.tool_result", block)


def _of_system(body: Body) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return claude.blocks("system", {"content": body.get("system")})


def _id(body: Body) -> Iterator[Offence]:
    for kind, key in (("tool_use", "id"), ("tool_result", "tool_use_id")):
        for place, block in claude.all_blocks(body, kind):
            if not _ID.fullmatch(str(block.get(key))):
                should = "String should match pattern '^[a-zA-Z0-9_-]+$'"
                yield Offence(f"{place}.{kind}.{key}", f"{{field}}: {should}")


def _input(body: Body) -> Iterator[Offence]:
    for place, block in claude.all_blocks(body, "tool_use"):
        if not isinstance(block.get("input"), Mapping):
            yield Offence(f"{place}.tool_use.input", "{field}: Input should be a valid dictionary")


def _media_type(body: Body) -> Iterator[Offence]:
    for place, block in _blocks(body):
        source = block.get("source") if block.get("type") == "image" else {}
        if source and source.get("type") == "base64" and source.get("media_type") not in _IMAGES:
            should = "Input should be " + ", ".join(f"'{name}'" for name in _IMAGES)
            yield Offence(f"{place}.image.source.base64.media_type", f"{{field}}: {should}")


def _marks(body: Body) -> Iterator[Offence]:
    tools = [tool for tool in body.get("tools") or () if isinstance(tool, Mapping)]
    marked = sum("cache_control" in each for each in [body, *tools, *(block for _, block in _blocks(body))])
    if marked > _MARKS:
        yield Offence("", f"A maximum of {_MARKS} blocks with cache_control may be provided. Found {marked}.")


RULES = (
    Rule(
        id="claude-block-type",
        kinds=_ONLY,
        about="blocks of a type the API does not have",
        source=documented(_MESSAGES),
        check=_type,
    ),
    Rule(
        id="claude-block-keys",
        kinds=_ONLY,
        about="unknown keys in a block",
        source=documented(_MESSAGES),
        check=_keys,
    ),
    Rule(
        id="claude-call-id",
        kinds=_ONLY,
        about="ids of calls beyond letters, digits, _ and -",
        source=reported("maximhq/bifrost#5097, BerriAI/litellm#21215, HKUDS/nanobot#4356"),
        check=_id,
    ),
    Rule(
        id="claude-input",
        kinds=_ONLY,
        about="input of a call that is no object",
        source=documented(_MESSAGES),
        check=_input,
    ),
    Rule(
        id="claude-media-type",
        kinds=_ONLY,
        about="images other than jpeg, png, gif and webp",
        source=documented("https://platform.claude.com/docs/en/build-with-claude/vision; mealie-recipes/mealie#5897"),
        check=_media_type,
    ),
    Rule(
        id="claude-cache-marks",
        kinds=_ONLY,
        about="more than four marks for the cache",
        source=documented(
            "https://platform.claude.com/docs/en/build-with-claude/prompt-caching; tghamm/Anthropic.SDK#50"
        ),
        check=_marks,
    ),
)
