"""An answer under construction: wire formats write into a draft what they read, plain or streamed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from app.errors import ContentFiltered, ProviderError, UnusableAnswer
from app.providers.base import ChatRequest, Delta, Finish, ToolCall, Usage

#: characters that make a token, where the provider counts none: the mean of English text
CHARACTERS_PER_TOKEN = 4


@dataclass(slots=True)
class _Tool:
    id: str
    name: str
    arguments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Draft:
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    tools: list[_Tool] = field(default_factory=list)
    finish: Finish | None = None
    #: why the provider stopped, in its own word, where that means the answer is of no use
    broken: str | None = None
    usage: Usage | None = None
    model: str = ""
    id: str = ""
    #: the stream has said its last word: read no further
    done: bool = False
    #: the stream may end here
    complete: bool = False
    #: index of a tool call on the wire → its place in `tools`
    places: dict[int, int] = field(default_factory=dict)

    def say(self, text: str) -> Delta:
        self.text.append(text)
        return Delta(text=text)

    def think(self, reasoning: str) -> Delta:
        self.reasoning.append(reasoning)
        return Delta(reasoning=reasoning)

    def call(self, index: int, call_id: str, name: str, arguments: str = "") -> Delta:
        """A tool call begins at wire index `index`; one that stood there before is over."""
        place = self.places[index] = len(self.tools)
        self.tools.append(_Tool(call_id, name, [arguments]))
        return Delta(tool_index=place, tool_id=call_id, tool_name=name, tool_arguments=arguments)

    def call_more(self, index: int, arguments: str) -> Delta | None:
        """More arguments for the tool call at wire index `index`; None where none has begun there."""
        place = self.places.get(index)
        if place is None:
            return None
        self.tools[place].arguments.append(arguments)
        return Delta(tool_index=place, tool_arguments=arguments)

    def check(self) -> None:
        """Raise ContentFiltered or UnusableAnswer where a complete draft holds nothing a caller can use."""
        if self.broken is not None:
            raise UnusableAnswer(f"the provider broke off: {self.broken}", provider_code=self.broken)
        if self.tools or any(part.strip() for part in self.text):
            return
        raise self._empty()

    def _empty(self) -> ProviderError:
        if self.finish is Finish.FILTER:
            return ContentFiltered("the provider's content filter stopped the answer")
        if self.finish is Finish.LENGTH:
            return UnusableAnswer("the token limit was spent before the first word of the answer: raise max_tokens")
        return UnusableAnswer("the answer is empty")

    def tool_calls(self) -> tuple[ToolCall, ...]:
        return tuple(ToolCall(tool.id, tool.name, "".join(tool.arguments) or "{}") for tool in self.tools)

    def finish_class(self) -> Finish:
        """What the provider says, where the answer agrees: Gemini says STOP where it calls a tool."""
        if self.tools and self.finish in (Finish.STOP, None):
            return Finish.TOOL
        if not self.tools and self.finish is Finish.TOOL:
            return Finish.STOP
        return self.finish or Finish.STOP

    def usage_of(self, request: ChatRequest) -> Usage:
        """As reported, else estimated from characters and marked so."""
        if self.usage is not None:
            return self.usage
        reasoning = _tokens(self.reasoning)
        arguments = (part for tool in self.tools for part in tool.arguments)
        completion = _tokens(self.text) + _tokens(arguments) + reasoning
        prompt = _tokens(_written(request))
        return Usage(prompt=prompt, completion=completion, reasoning=reasoning, estimated=True)


def _tokens(parts: Iterable[str]) -> int:
    characters = sum(map(len, parts))
    return -(-characters // CHARACTERS_PER_TOKEN)


def _written(request: ChatRequest) -> Iterable[str]:
    for message in request.messages:
        if isinstance(message.content, str):
            yield message.content
        else:
            yield from (str(part.get("text", "")) for part in message.content)
        yield from (call.arguments for call in message.tool_calls)
    yield from (json.dumps(dict(tool)) for tool in request.tools)
