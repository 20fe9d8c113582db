"""The vocabulary of a provider call: what goes in, what comes out. The wire formats stand in their own files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from app.domain.catalog import Provider, WireFormat
from app.providers.conversation import Message as Message
from app.providers.conversation import ToolCall as ToolCall
from app.providers.http.dialing import DIRECT, Way
from app.timing import Timing as Timing


class Finish(StrEnum):
    """Why the model stopped."""

    STOP = "stop"
    LENGTH = "length"
    TOOL = "tool"
    FILTER = "filter"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A provider as it can be called now: its block of providers.toml, with its key."""

    provider: Provider
    key: str = field(repr=False)
    #: the block's own, secrets among them
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: proxy and certificates; a proxy may have a password
    way: Way = field(default=DIRECT, repr=False)


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """What the answer has to be: JSON of this schema."""

    name: str
    #: JSON Schema
    schema: Mapping[str, Any]
    #: for the model
    description: str | None = None
    #: held to it letter by letter, within the part of JSON Schema that the provider has for that
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class Dialect:
    """The format in whose words the caller speaks, and what of the request no other format has a word for."""

    format: WireFormat = WireFormat.OPENAI
    #: of the caller's, for targets that speak it
    headers: Mapping[str, str] = field(default_factory=dict)
    #: fields as the caller wrote them, which ChatRequest says in the words that all formats have
    written: Mapping[str, Any] = field(default_factory=dict)
    #: what of the conversation and the tools is left out elsewhere, by name
    beside: tuple[str, ...] = ()
    #: what must not be left out, by name
    essential: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Embedding:
    """What is to become vectors: texts, or tokens as OpenAI's models count them."""

    inputs: tuple[str, ...] | tuple[tuple[int, ...], ...]
    #: of each vector; None: the model's own
    dimensions: int | None = None
    #: as the caller wants them; None: they did not say, and get numbers
    encoding: str | None = None
    user: str | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """Empty where they are tokens."""
        return tuple(each for each in self.inputs if isinstance(each, str))

    @property
    def tokens(self) -> int:
        return sum(len(each) for each in self.inputs if not isinstance(each, str))


#: numbers, or base64 of 32-bit floats in little-endian order, as the provider gave it
Vector = list[float] | str


@dataclass(frozen=True, slots=True)
class Completion:
    """What is to go on, or to be filled in: no conversation. The other parameters are those of a chat."""

    #: a text; texts, tokens or lists of tokens to who has them
    prompt: str | list[Any]
    #: what stands behind the gap
    suffix: str | None = None
    #: None: the caller did not say
    echo: bool | None = None
    #: of the answer's tokens, with so many likely ones beside each
    logprobs: int | None = None
    best_of: int | None = None

    @property
    def prompts(self) -> int:
        several = isinstance(self.prompt, list) and bool(self.prompt) and not isinstance(self.prompt[0], int)
        return len(self.prompt) if several else 1


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request in the one vocabulary all wire formats are mapped from. None: not sent, the provider decides."""

    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    json_mode: bool = False
    json_schema: JsonSchema | None = None
    #: none, minimal, low, medium, high, xhigh
    reasoning_effort: str | None = None
    #: OpenAI-style tool definitions
    tools: tuple[Mapping[str, Any], ...] = ()
    #: "auto", "none", "required", or the name of one tool
    tool_choice: str | None = None
    #: False: one tool call at most, whether the provider can be held to that or not
    parallel_tool_calls: bool = True
    #: answers; more than one only from who has them
    n: int = 1
    #: of the answer's tokens, and of so many likely ones beside each
    logprobs: bool = False
    top_logprobs: int | None = None
    service_tier: str | None = None
    verbosity: str | None = None
    #: names of the only tools that may be called; (): all
    allowed_tools: tuple[str, ...] = ()
    #: the tools came in OpenAI's older form
    functions: bool = False
    #: fields above that go to every server of OpenAI's format, whatever is known of it
    passed: frozenset[str] = frozenset()
    #: the prompt may be marked for the provider's cache, where the caller has marked nothing (Claude)
    cache_marks: bool = False
    #: fields above that the caller did not send: our defaults, which give way to what the caller did send
    defaults: frozenset[str] = frozenset()
    #: what changes nothing of the answer, such as who asks: for those who have it
    hints: Mapping[str, Any] = field(default_factory=dict)
    #: fields that only the caller's dialect has, as they go on the wire
    extra: Mapping[str, Any] = field(default_factory=dict)
    dialect: Dialect = field(default_factory=Dialect)
    #: names of fields of the caller's that stand nowhere above
    omitted: tuple[str, ...] = ()
    #: this is no chat: vectors are wanted
    embedding: Embedding | None = None
    #: nor is this: `messages` are what it becomes for a target that can but chat
    completion: Completion | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens. `completion` holds what is billed as output, reasoning included, for every provider."""

    #: the whole prompt, with what came from a cache or was written to one
    prompt: int
    completion: int
    reasoning: int = 0
    #: of the prompt, read from the provider's cache
    cached: int = 0
    #: the provider reported none; counted by us
    estimated: bool = False
    #: of the prompt, written to the provider's cache (Anthropic bills that above the normal price)
    cache_written: int = 0
    #: … of these, to be kept for an hour instead of some minutes
    cache_written_hour: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several answers to a request; fields as in Answer."""

    index: int
    text: str
    finish: Finish
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    refusal: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    logprobs: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider gave, streamed or not."""

    text: str
    finish: Finish
    usage: Usage
    timing: Timing
    #: the model that answered, as the provider names it
    model: str
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    provider_request_id: str | None = None
    #: x-ratelimit-* and their likes, as they came
    rate_limits: Mapping[str, str] = field(default_factory=dict)
    #: parameters of the request that this provider has not, and that were not sent
    dropped: tuple[str, ...] = ()
    #: USD, where a header of the provider states it (Provider.cost_header)
    reported_cost_usd: float | None = None
    #: the model that was asked for; some providers answer under another name
    asked_model: str = ""
    #: the model's own words for not answering, where its format tells them from an answer
    refusal: str = ""
    #: what this provider wants back with this turn: see Message.extra
    extra: Mapping[str, Any] = field(default_factory=dict)
    #: as the provider has them: lists by what they are of, `content` or `refusal`
    logprobs: Mapping[str, Any] | None = None
    #: the further answers, where several were asked for
    others: tuple[Choice, ...] = ()
    #: why it stopped, in the provider's own word, and the stop sequence that it met, where it tells
    stop_word: str = ""
    stop_sequence: str | None = None
    #: the content as it stood on the wire, for a caller of the same dialect; None: not kept
    native: tuple[Mapping[str, Any], ...] | None = None
    #: … and what beside the content has no word here, its `usage` too
    native_facts: Mapping[str, Any] = field(default_factory=dict)
    #: of an embedding, in the order of its inputs
    vectors: tuple[Vector, ...] = ()

    @property
    def choices(self) -> tuple[Choice, ...]:
        """All of them, the answer itself first."""
        first = Choice(
            0, self.text, self.finish, self.reasoning, self.tool_calls, self.refusal, self.extra, self.logprobs
        )
        return (first, *self.others)

    @property
    def words(self) -> str:
        """All it says, for whoever does not tell an answer from a refusal."""
        return self.text + self.refusal


class Delta(NamedTuple):
    """A piece of a streamed answer, as soon as it is known."""

    text: str = ""
    reasoning: str = ""
    #: index of the tool call, its id and name (first piece only), and more of its arguments
    tool_index: int | None = None
    tool_id: str | None = None
    tool_name: str | None = None
    tool_arguments: str = ""
    refusal: str = ""
    #: what the provider wants back with the turn, and with the tool call: see Message.extra, ToolCall.extra
    extra: Mapping[str, Any] | None = None
    tool_extra: Mapping[str, Any] | None = None
    #: of several answers this one
    choice: int = 0
    logprobs: Mapping[str, Any] | None = None
    #: for a caller of the same dialect: what stands on the wire and has no word here
    native: Mapping[str, Any] | None = None

    @property
    def words(self) -> str:
        return self.text + self.refusal

    @property
    def is_visible(self) -> bool:
        """Is there anything in it that a reader sees of the answer? Blanks are not, nor is reasoning."""
        return self.tool_index is not None or self.native is not None or bool(self.text.strip() or self.refusal.strip())


#: a sign of life while nothing comes, for whoever has to keep somebody waiting
BEAT = Delta()
#: nothing has come yet, and who reads shall not wait for it: see AnswerStream.wait
WAIT = Delta()
