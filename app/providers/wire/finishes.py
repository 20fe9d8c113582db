"""Why an answer ended, in the words of every vendor: shims pass on the word of whoever they stand in front of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from app.providers.base import Finish

OPENAI = {
    "stop": Finish.STOP,
    "length": Finish.LENGTH,
    "model_length": Finish.LENGTH,  # Mistral
    "tool_calls": Finish.TOOL,
    "function_call": Finish.TOOL,
    "content_filter": Finish.FILTER,
    "sensitive": Finish.FILTER,  # Zhipu
}
ANTHROPIC = {
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "pause_turn": Finish.LENGTH,  # it would go on, in a turn of its own
    "max_tokens": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
    "tool_use": Finish.TOOL,
    "refusal": Finish.FILTER,
}
GEMINI = {
    "STOP": Finish.STOP,
    "MAX_TOKENS": Finish.LENGTH,
    "SAFETY": Finish.FILTER,
    "RECITATION": Finish.FILTER,
    "LANGUAGE": Finish.FILTER,
    "BLOCKLIST": Finish.FILTER,
    "PROHIBITED_CONTENT": Finish.FILTER,
    "SPII": Finish.FILTER,
    "IMAGE_SAFETY": Finish.FILTER,
    "IMAGE_PROHIBITED_CONTENT": Finish.FILTER,
    "IMAGE_RECITATION": Finish.FILTER,
    "ESCALATION": Finish.FILTER,
    "MODEL_ARMOR": Finish.FILTER,
    "CONTINUATION": Finish.LENGTH,
}
#: of those whose API we do not speak, met behind shims
OTHERS = {
    "max_output_tokens": Finish.LENGTH,  # OpenAI's Responses
    "max_completion_tokens": Finish.LENGTH,
    "max_new_tokens": Finish.LENGTH,
    "max_length": Finish.LENGTH,
    "token_limit": Finish.LENGTH,  # watsonx
    "context_length": Finish.LENGTH,
    "context_length_exceeded": Finish.LENGTH,
    "truncated": Finish.LENGTH,
    "tool_call": Finish.TOOL,  # Cohere
    "content_filtered": Finish.FILTER,  # Bedrock
    "guardrail_intervened": Finish.FILTER,  # Bedrock
    "error_toxic": Finish.FILTER,  # Cohere
}
#: words for having none
_NONE = {"", "null", "none", "unspecified"}


@lru_cache(maxsize=256)
def plain(reason: str) -> str:
    """One spelling of a word: `MAX_TOKENS`, `maxTokens` and `FinishReason.MAX_TOKENS` are the same one."""
    word = re.sub("[^a-z]", "", reason.rpartition(".")[2].lower())
    return word.removeprefix("finishreason")


_CLASS = {plain(word): finish for word, finish in (OPENAI | ANTHROPIC | GEMINI | OTHERS).items()}


def finish_of(reason: str | None) -> Finish | None:
    """None: no reason at all. A word that nobody knows yet counts as stop."""
    word = plain(reason or "")
    return None if word in _NONE else _CLASS.get(word, Finish.STOP)


def is_one(reason: str | None, words: Iterable[str]) -> bool:
    return plain(reason or "") in set(map(plain, words))
