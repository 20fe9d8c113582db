"""An answer under construction: wire formats write into a draft what they read, plain or streamed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.errors import ContentFiltered, LimitSpent, ProviderError, UnusableAnswer
from app.providers.base import ChatRequest, Choice, Delta, Finish, ToolCall, Usage
from app.providers.conversation import placed
from app.providers.wire import estimate, surrogates
from app.providers.wire.tool_pieces import Tool, Waiting


@dataclass(slots=True)
class Draft:
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    tools: list[Tool] = field(default_factory=list)
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
    #: index on the wire → a tool call that may begin there
    waiting: dict[int, Waiting] = field(default_factory=dict)
    #: a model that says nothing has nothing to add, which is an answer
    may_be_empty: bool = False
    #: blanks, and nothing at all, are an answer wherever they end: of a completion
    may_be_blank: bool = False
    #: … but no JSON
    asks_for_json: bool = False
    #: tokens that the request allows; None: as many as the model does
    limit: int | None = None
    #: first halves of surrogate pairs at the end of what has come; by their field, or the place of their tool call
    halves: dict[str | int, str] = field(default_factory=dict)
    #: the tool whose arguments are the answer's text; what else the model says is no part of it
    answer_tool: str | None = None
    #: the first tool call is the only one
    one_call: bool = False
    #: names of tools as they were sent → as the caller knows them, where they differ
    names: Mapping[str, str] = field(default_factory=dict)
    #: see Message.extra
    extra: dict[str, Any] = field(default_factory=dict)
    #: index on the wire → pieces of a thought of Claude's, and of its signature
    thoughts: dict[int, tuple[list[str], list[str]]] = field(default_factory=dict)
    #: does the caller speak the provider's format? Then it gets what has no word in any other
    same_dialect: bool = False
    #: whole blocks as they stood on the wire, where the caller gets them so
    native: list[Mapping[str, Any]] = field(default_factory=list)
    #: what else stood there that has no word in any other format
    native_facts: dict[str, Any] = field(default_factory=dict)
    #: has it said anything that has no word in any other format, and is given out?
    says_natively: bool = False
    #: type of the block that began last, where the caller gets them so
    last_block: str = ""
    #: stop sequences of the request, and the one that was met
    stops: tuple[str, ...] = ()
    stop_sequence: str | None = None
    #: why the provider stopped, in its own word
    stop_word: str = ""

    #: … and of a tool call, its input as it stood where the call began
    inputs: dict[int, str] = field(default_factory=dict)
    #: blocks of Claude's that are over
    blocks: int = 0
    #: names of the tools that were offered
    offered: frozenset[str] = frozenset()
    #: where one answer was asked for: the index that it has
    only: int | None = None
    #: answers that were asked for, and the drafts of those behind the first, by their index
    n: int = 1
    others: dict[int, Draft] = field(default_factory=dict)
    #: log probabilities were asked for
    tells_logprobs: bool = False
    #: by what they are of, `content` or `refusal`
    logprobs: dict[str, Any] = field(default_factory=dict)

    def of(self, place: int) -> Draft:
        """The draft of the answer with this index."""
        if place == 0:
            return self
        if place not in self.others:
            self.others[place] = Draft(
                may_be_empty=self.may_be_empty,
                may_be_blank=self.may_be_blank,
                asks_for_json=self.asks_for_json,
                limit=self.limit,
                answer_tool=self.answer_tool,
                one_call=self.one_call,
                names=self.names,
                offered=self.offered,
                tells_logprobs=self.tells_logprobs,
            )
        return self.others[place]

    def is_complete(self) -> bool:
        """May a stream end here? Not in the middle of one of several answers."""
        return self.done or (self.complete and all(other.complete for other in self.others.values()))

    def probable(self, deltas: list[Delta], logprobs: Mapping[str, Any]) -> list[Delta]:
        """The deltas of one event, the last of them with the log probabilities that came with them."""
        for name, tokens in logprobs.items():
            if isinstance(tokens, list):
                self.logprobs[name] = [*(self.logprobs.get(name) or ()), *tokens]
            else:
                self.logprobs.setdefault(name, tokens)
        *before, last = deltas or [Delta()]
        return [*before, last._replace(logprobs=logprobs)]

    def choice(self, index: int) -> Choice:
        return Choice(
            index,
            self.answer_text(),
            self.finish_class(),
            "".join(self.reasoning),
            self.tool_calls(),
            "".join(self.refusal),
            self.extra,
            self.logprobs or None,
        )

    def say(self, text: str) -> Delta:
        text = self._joined("text", text)
        self.text.append(text)
        return Delta(text=text)

    def think(self, reasoning: str) -> Delta:
        reasoning = self._joined("reasoning", reasoning)
        self.reasoning.append(reasoning)
        return Delta(reasoning=reasoning)

    def refuse(self, refusal: str) -> Delta:
        refusal = self._joined("refusal", refusal)
        self.refusal.append(refusal)
        return Delta(refusal=refusal)

    def keep_thought(self, thought: dict[str, Any]) -> Delta:
        """A thought of Claude's, with its place among text and calls."""
        is_seen = self.answer_tool is None
        characters, calls = (sum(map(len, self.text)), len(self.tools)) if is_seen else (0, 0)
        return self.keep("thinking_blocks", [placed(thought, characters, calls)])

    def keep(self, name: str, value: list[Any] | dict[str, Any]) -> Delta:
        """What the provider wants back with this turn, under this field; in a list, what comes next of it.

        Streamed, each element has an `index`, without which OpenAI's SDK does not take a second one.
        """
        if isinstance(value, dict):
            self.extra[name] = self.extra.get(name, {}) | value
            return Delta(extra={name: value})
        kept = self.extra.setdefault(name, [])
        told = [{"index": place} | each for place, each in enumerate(value, start=len(kept))]
        kept += value
        return Delta(extra={name: told})

    def hear(self, audio: dict[str, Any]) -> Delta:
        """A sound, or a piece of one: its data and its transcript."""
        known = self.extra.get("audio", {})
        joined = {name: known.get(name, "") + audio[name] for name in ("data", "transcript") if audio.get(name)}
        self.extra["audio"] = known | audio | joined
        return Delta(extra={"audio": audio})

    def call(
        self, index: int, call_id: str, name: str, arguments: str = "", extra: Mapping[str, Any] | None = None
    ) -> Delta:
        """A tool call begins at wire index `index`; one that stood there before is over.

        It gets an id of its own where the server gives it none, or one that another call of the answer has.
        """
        place = self.places[index] = len(self.tools)
        given = {call_id} if call_id else set()
        call_id, name = surrogates.whole(call_id), surrogates.whole(self.names.get(name, name))
        if not call_id.strip() or any(call_id == tool.id for tool in self.tools):
            call_id = f"call_{uuid.uuid4().hex[:24]}"
        arguments = "" if arguments.strip() == "null" else self._joined(place, arguments)
        self.tools.append(Tool(call_id, name, index, [arguments], given, extra))
        return Delta(tool_index=place, tool_id=call_id, tool_name=name, tool_arguments=arguments, tool_extra=extra)

    def call_more(self, index: int, arguments: str) -> Delta | None:
        """More arguments for the tool call at wire index `index`; None where none has begun there."""
        place = self.places.get(index)
        return None if place is None else self.more(place, arguments)

    def more(self, place: int, arguments: str) -> Delta | None:
        """More arguments for the tool call at this place; None where there is nothing to tell yet."""
        arguments = self._joined(place, arguments)
        self.tools[place].arguments.append(arguments)
        return Delta(tool_index=place, tool_arguments=arguments) if arguments else None

    def end(self) -> Iterator[Delta]:
        """Nothing more comes: what was held back, and the arguments of calls that got none."""
        parts = ((index, kept) for index, kept in self.waiting.items() if kept.is_named_in_part)
        yield from (self.call(index, kept.id, kept.name, extra=kept.extra) for index, kept in parts)
        halves, self.halves = self.halves, {}
        for place in halves:
            if place == "text":
                yield self.say("\ufffd")
            elif place == "reasoning":
                yield self.think("\ufffd")
            elif place == "refusal":
                yield self.refuse("\ufffd")
            elif isinstance(place, int) and (more := self.more(place, "\ufffd")):
                yield more
        for number, tool in enumerate(self.tools):
            if not "".join(tool.arguments).strip() and (more := self.more(number, "{}")):
                yield more
        for place, other in self.others.items():
            yield from (delta._replace(choice=place) for delta in other.end())

    def _joined(self, place: str | int, piece: str) -> str:
        """The piece, behind the half that the one before it ended with, without the half that it ends with itself."""
        if piece.isascii() and not self.halves:
            return piece
        held = self.halves.pop(place, "") if piece else ""
        piece, half = surrogates.split(held + piece)
        if half:
            self.halves[place] = half
        return surrogates.whole(piece)

    def stopped_at(self, sequence: str | None) -> None:
        """As the provider tells it; what is none of the request's was none of its stop sequences."""
        if sequence in self.stops:
            self.stop_sequence = sequence

    def native_content(self) -> tuple[Mapping[str, Any], ...] | None:
        """The content as the caller gets it in the provider's own words; None where it was not kept, or is hidden."""
        if not self.native or self.answer_tool is not None:
            return None
        calls = iter(self.tool_calls())
        given: list[Mapping[str, Any]] = []
        for block in self.native:
            if block.get("type") != "tool_use":
                given.append(block)
            elif (call := next(calls, None)) is not None:
                given.append({**block, "id": call.id, "name": call.name})
        return tuple(given)

    @property
    def hides(self) -> bool:
        """Is there anything that a reader may not get as it was read?"""
        return self.one_call or self.answer_tool is not None

    def shown(self, delta: Delta) -> Delta | None:
        """What a reader gets of a piece; None: nothing."""
        if self.answer_tool is not None:
            answers = delta.tool_index is not None and delta.tool_index == self._answer_place()
            text = delta.tool_arguments if answers else ""
            seen = Delta(text=text, reasoning=delta.reasoning, refusal=delta.refusal, extra=delta.extra)
            seen = seen._replace(choice=delta.choice)
            return seen if seen.words or seen.reasoning or seen.extra else None
        return None if self.one_call and delta.tool_index else delta

    def answer_text(self) -> str:
        if self.answer_tool is None:
            return "".join(self.text)
        place = self._answer_place()
        return "" if place is None else self.calls()[place].arguments

    def _answer_place(self) -> int | None:
        return next((place for place, tool in enumerate(self.tools) if tool.name == self.answer_tool), None)

    def check(self) -> None:
        """Raise ContentFiltered or UnusableAnswer where a complete draft holds nothing a caller can use."""
        every = (self, *self.others.values())
        if (broken := next((each.broken for each in every if each.broken is not None), None)) is not None:
            raise UnusableAnswer(f"the provider broke off: {broken}", provider_code=broken)
        if not any(each._says_something() for each in every):
            raise self._empty()

    def _says_something(self) -> bool:
        if self.tool_calls() or self.answer_text().strip() or self.refusal:
            return True
        if self.says_natively and self.answer_tool is None:
            return True
        if self.may_be_blank and self.finish in (Finish.STOP, Finish.LENGTH):
            return True
        if self.extra.get("audio") or self.extra.get("images"):
            return True
        return self.may_be_empty and self.finish is Finish.STOP and not self.asks_for_json

    def _empty(self) -> ProviderError:
        if self.finish is Finish.FILTER:
            return ContentFiltered("the provider's content filter stopped the answer")
        if self.finish is Finish.LENGTH:
            spent = "was spent before the first word of the answer"
            if self.limit is None:
                return UnusableAnswer(f"the model's own token limit {spent}")
            return LimitSpent(f"the token limit of {self.limit} {spent}: raise max_tokens")
        if self.answer_tool is not None:
            return UnusableAnswer("the model did not answer in the JSON that was asked for")
        return UnusableAnswer("the answer is empty")

    def tool_calls(self) -> tuple[ToolCall, ...]:
        if self.answer_tool is not None:
            return ()
        return self.calls()[:1] if self.one_call else self.calls()

    def calls(self) -> tuple[ToolCall, ...]:
        """All that were read, whoever gets to see them."""
        return tuple(ToolCall(tool.id, tool.name, "".join(tool.arguments) or "{}", tool.extra) for tool in self.tools)

    def finish_class(self) -> Finish:
        """What the provider says, where the answer agrees: Gemini says STOP where it calls a tool."""
        calls = bool(self.tools) and self.answer_tool is None
        if calls and self.finish in (Finish.STOP, None):
            return Finish.TOOL
        if not calls and self.finish is Finish.TOOL:
            return Finish.STOP
        return self.finish or Finish.STOP

    def usage_of(self, request: ChatRequest) -> Usage:
        """As reported, else estimated from characters and marked so."""
        if self.usage is not None:
            return self.usage
        every = (self, *self.others.values())
        reasoning = sum(estimate.tokens(each.reasoning) for each in every)
        completion = reasoning + sum(each._said_tokens() for each in every)
        asked = request.embedding
        prompt = estimate.tokens(estimate.written(request))
        if asked is not None:
            prompt = asked.tokens + estimate.tokens(asked.texts)
        return Usage(prompt=prompt, completion=completion, reasoning=reasoning, estimated=True)

    def _said_tokens(self) -> int:
        arguments = (part for tool in self.tools for part in tool.arguments)
        return estimate.tokens(self.text) + estimate.tokens(self.refusal) + estimate.tokens(arguments)
