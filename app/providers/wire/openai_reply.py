"""What servers of the OpenAI format answer with, by shape, and what it cost."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from app.providers.base import Usage
from app.providers.wire.lenient import Count, EachThatFits, Many, Maybe, Reply

#: pydantic would try the list for each text too
TEXT_FIRST = Field(union_mode="left_to_right")


class Function(Reply):
    name: Maybe[str] = None
    arguments: Maybe[str | dict[str, Any]] = None  # an object from servers that misread the format


class Call(Reply):
    index: Maybe[int] = None
    id: Maybe[str] = None
    function: Maybe[Function] = None
    name: Maybe[str] = None  # in the place of `function`
    arguments: Maybe[str | dict[str, Any]] = None
    extra_content: Maybe[dict[str, Any]] = None  # Gemini: its signature


class Said(Reply):
    """A message, or a piece of one."""

    content: Maybe[Annotated[str | Annotated[list[dict[str, Any]], EachThatFits()], TEXT_FIRST]] = None
    reasoning_content: Maybe[str] = None  # DeepSeek, vLLM
    reasoning: Maybe[str] = None  # OpenRouter, Groq, Ollama
    reasoning_text: Maybe[str] = None  # GitHub Copilot
    thinking: Maybe[str] = None  # Ollama's own name for it, of shims in front of it
    refusal: Maybe[str] = None
    tool_calls: Many[Call] = None
    reasoning_details: Many[dict[str, Any]] = None  # OpenRouter, MiniMax
    extra_content: Maybe[dict[str, Any]] = None  # Gemini
    annotations: Many[dict[str, Any]] = None  # what was found on the web
    audio: Maybe[dict[str, Any]] = None
    images: Many[dict[str, Any]] = None  # OpenRouter
    function_call: Maybe[Function] = None  # what tool_calls replaced; some old servers know nothing else


class _PromptDetails(Reply):
    cached_tokens: Count = None
    cache_write_tokens: Count = None


class _CompletionDetails(Reply):
    reasoning_tokens: Count = None


class _Usage(Reply):
    prompt_tokens: Count = None
    completion_tokens: Count = None
    total_tokens: Count = None
    prompt_tokens_details: Maybe[_PromptDetails] = None
    completion_tokens_details: Maybe[_CompletionDetails] = None
    prompt_cache_hit_tokens: Count = None  # DeepSeek
    cached_tokens: Count = None  # Moonshot
    reasoning_tokens: Count = None  # Perplexity
    input_tokens: Count = None  # of OpenAI's Responses, or Anthropic's, behind shims
    output_tokens: Count = None


class Choice(Reply):
    index: Maybe[int] = None
    message: Maybe[Said] = None
    delta: Maybe[Said] = None
    finish_reason: Maybe[str] = None
    logprobs: Maybe[dict[str, Any]] = None
    error: Any = None  # OpenRouter
    usage: Maybe[_Usage] = None  # Moonshot, in the last piece of a stream
    text: Maybe[str] = None  # of the older completions
    stop_reason: Maybe[str] = None  # vLLM: the text that it stopped at


class _Groq(Reply):
    usage: Maybe[_Usage] = None


class Body(Reply):
    object: Maybe[str] = None
    id: Maybe[str] = None
    model: Maybe[str] = None
    choices: Many[Choice] = None
    usage: Maybe[_Usage] = None
    x_groq: Maybe[_Groq] = None  # in its streams
    error: Any = None


def rest_of(message: Said, text: str, reasoning: str) -> Said:
    """Of a message in a stream what has not come yet: some repeat in each, or in the last, what came before it."""
    said, thought = message.content, message.reasoning_content or message.reasoning
    told = {
        "content": _behind(text, said) if isinstance(said, str) else said,
        "reasoning_content": _behind(reasoning, thought) if thought else None,
        "reasoning": None,
    }
    return message.model_copy(update=told)


def _behind(known: str, text: str) -> str:
    return text[len(known) :] if known and text.startswith(known) else text


def reported(body: Body) -> Usage | None:
    usage = body.usage or (body.x_groq and body.x_groq.usage)
    return usage_of(usage) if usage else None


def usage_of(usage: _Usage) -> Usage | None:
    """None: it reports nothing, or nothing that can be."""
    prompt, completion = _first(usage.prompt_tokens, usage.input_tokens), usage.completion_tokens
    completion = _first(completion, usage.output_tokens)
    if completion is None and prompt is not None and usage.total_tokens is not None:
        completion = max(0, usage.total_tokens - prompt)
    if prompt is None or completion is None or not prompt + completion:
        return None
    of_completion = usage.completion_tokens_details or _CompletionDetails()
    reasoning = of_completion.reasoning_tokens or usage.reasoning_tokens or 0
    parts = usage.prompt_tokens_details or _PromptDetails()
    cached = parts.cached_tokens or usage.prompt_cache_hit_tokens or usage.cached_tokens or 0
    if reasoning and usage.total_tokens == prompt + completion + reasoning:
        completion += reasoning  # xAI counts reasoning apart
    return Usage(prompt, completion, reasoning, min(cached, prompt), cache_written=parts.cache_write_tokens or 0)


def _first(*counts: int | None) -> int | None:
    return next((count for count in counts if count is not None), None)
