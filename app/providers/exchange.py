"""One request and its response, from what is asked to the Answer or the error."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from app.domain.catalog import WireFormat
from app.errors import ConnectionLost, LocalFailure, ProviderError, StreamCut, Timeout, UnusableAnswer
from app.providers import rate_limits
from app.providers.base import BEAT, WAIT, Answer, ChatRequest, Delta, Endpoint, Usage
from app.providers.http import framing
from app.providers.http.clock import Call
from app.providers.http.connections import Connection, Pool
from app.providers.http.framing import Response
from app.providers.http.sse import Event, EventParser, begins_a_stream, is_a_stream, without_keep_alives
from app.providers.left_out import left_out
from app.providers.own import added
from app.providers.wire import odd_events, openai_completions, problem, surrogates
from app.providers.wire.alike import Alike
from app.providers.wire.at_once import all_of
from app.providers.wire.content import not_in_words_of
from app.providers.wire.draft import Draft
from app.providers.wire.formats import FORMATS, Wire

#: for the end of a stream's HTTP after its last event, so that its connection can be used again
DRAIN_S = 0.1
#: for what may follow the reason why an answer ended: its usage, and the stream's own end
LAST_WORDS_S = 3.0
#: a shorter key is a word such as "none", and to blank it would spoil messages
SHORTEST_KEY = 8

NOTHING = Delta()
#: where events of a stream hold what they say; Gemini's tell other figures in each
TEXTS = {WireFormat.OPENAI: "content", WireFormat.ANTHROPIC: "text"}

REQUEST_IDS = ("x-request-id", "request-id", "x-goog-request-id")


class Exchange:
    """Used once: send, deltas, answer; blame for an error on the way; close in any case."""

    def __init__(self, endpoint: Endpoint, model: str, request: ChatRequest, call: Call, *, stream: bool) -> None:
        self.call = call
        self._endpoint = endpoint
        self._model = model
        self._request = request
        self._stream = stream
        self._wire: Wire = FORMATS[endpoint.provider.format]
        last_role = request.messages[-1].role if request.messages else ""
        # a tool's result may leave a model nothing to add, but JSON that was asked for is never nothing
        asks_for_json = request.json_mode or request.json_schema is not None
        completion = request.completion
        self._draft = Draft(
            one_call=not request.parallel_tool_calls,
            may_be_empty=last_role == "tool" and endpoint.provider.format is WireFormat.OPENAI,
            may_be_blank=openai_completions.is_native(endpoint, model, request),
            asks_for_json=asks_for_json,
            limit=request.max_tokens,
            n=request.n * (1 if completion is None else completion.prompts),
            tells_logprobs=request.logprobs or (completion is not None and completion.logprobs is not None),
            same_dialect=request.dialect.format is endpoint.provider.format,
            stops=request.stop,
            offered=frozenset(tool["function"]["name"] for tool in request.tools if tool["function"].get("name")),
        )
        self.dropped: tuple[str, ...] = ()
        self._headers: Mapping[str, str] = {}
        self._response: Response | None = None
        #: of a stream: something was said without a reason to end, and then one was named
        self._goes_on = False
        self._settled = False

    def send(self, pool: Pool) -> None:
        """Send the request; nothing of the response is read."""
        if (why := not_in_words_of(self._endpoint.provider.format, self._request.dialect)) is not None:
            raise why
        outgoing = added(self._endpoint, self._wire.build(self._endpoint, self._model, self._request, self._stream))
        self.dropped = left_out(self._request, outgoing, self._endpoint.provider.format)
        self._draft.answer_tool, self._draft.names = outgoing.answer_tool, outgoing.names
        self._response = framing.begin(
            pool, self.call, "POST", outgoing.url, outgoing.headers, outgoing.body, self._endpoint.way
        )

    def _refusal(self, response: Response) -> ProviderError:
        body = b""
        with suppress(ProviderError):  # the status says enough, should the body be cut
            body = b"".join(response.pieces())
        found = problem.read(body)
        kind = self._wire.error_class(response.status, found)
        error = problem.raised(kind, response.status, found, self._headers, datetime.now(UTC))
        error.rate_limits = rate_limits.of(self._headers)
        return error

    def deltas(self) -> Iterator[Delta]:
        """The response, read to its end, with a BEAT where nothing comes. Raises a ProviderError for no success."""
        response = self._response
        assert response is not None
        while not response.status:
            if not response.receive():
                yield BEAT
        self._headers = response.headers
        if not 200 <= response.status < 300:
            raise self._refusal(response)
        read = self._events(response) if self._stream else self._whole(response)
        yield from self._shown(read) if self._draft.hides else read

    def _shown(self, read: Iterator[Delta]) -> Iterator[Delta]:
        for delta in read:
            if delta is BEAT or delta is WAIT:
                yield delta
            elif (seen := self._draft.of(delta.choice).shown(delta)) is not None:
                yield seen

    def _whole(self, response: Response) -> Iterator[Delta]:
        pieces = []
        for piece in response.pieces():
            pieces.append(piece)
            if not piece.isspace() and piece:
                self.call.note_said()
            elif self.call.said_nothing():  # a provider that queues us says so with blank lines
                yield BEAT
        body = b"".join(pieces)
        if is_a_stream(body):  # the provider did not ask whether one was wanted
            yield from self._streamed_at_once(body)
        else:
            yield from self._at_once(body)

    def _streamed_at_once(self, body: bytes) -> Iterator[Delta]:
        self.call.note_content()
        parser, draft = EventParser(), self._draft
        for event in parser.feed(body):
            yield from self._read(event)
            if draft.done:
                break
        yield from self._end(EventParser() if draft.done else parser)

    def _at_once(self, body: bytes) -> Iterator[Delta]:
        self.call.note_content()
        self.call.end()
        draft = self._draft
        self._wire.read_answer(without_keep_alives(body.removeprefix(b"\xef\xbb\xbf")), draft)
        for _ in draft.end():
            pass
        if self._stream:  # the provider ignored that it was asked for one
            yield from all_of(draft)
            for place, other in sorted(draft.others.items()):
                yield from (delta._replace(choice=place) for delta in all_of(other))

    def _events(self, response: Response) -> Iterator[Delta]:
        draft, parser = self._draft, EventParser()
        key = TEXTS.get(self._endpoint.provider.format)
        alike = None if key is None or draft.hides else Alike(key)
        eventless: bytearray | None = bytearray()
        for piece in self._arriving(response):
            if not piece:
                yield WAIT if response.is_early else BEAT
                continue
            events = parser.feed(piece)
            if events:
                eventless = None
            elif eventless is not None:
                eventless += piece
            for event in events:
                if alike is None or (delta := self._same(event, alike)) is None:
                    yield from self._said(event, alike)
                else:
                    yield delta
            if draft.done:
                self.call.end()
                if response.wait(waits=True):
                    yield WAIT
                self._drain(response)
                yield from draft.end()
                return
        if eventless is not None and not begins_a_stream(bytes(eventless)):
            yield from self._at_once(bytes(eventless))
            return
        yield from self._end(parser)

    def _arriving(self, response: Response) -> Iterator[bytes]:
        """A stream's body. Once the answer has been told to its end, it is whole whatever becomes of the rest."""
        try:
            yield from response.pieces(stream=True)
        except (ConnectionLost, LocalFailure, Timeout):
            if not self._settled or self.call.interrupted:
                raise

    def _same(self, event: Event, alike: Alike) -> Delta | None:
        """What `_said` would give, and without more to be done; None: it has to be asked."""
        draft = self._draft
        if self.call.first_token_ms is None or draft.complete or draft.halves or (text := alike.text(event)) is None:
            return None
        self._goes_on = True
        return draft.say(text)

    def _said(self, event: Event, alike: Alike | None) -> Iterator[Delta]:
        draft = self._draft
        named, usage, said = draft.complete, draft.usage, list[Delta]()
        for delta in self._read(event):
            if self.call.first_token_ms is None:
                self._note(delta)
            if delta != NOTHING:  # all of it may be held back
                said.append(delta)
                yield delta
        says = bool(said)
        if alike is not None and alike.learns and len(said) == 1 and draft.usage is usage and not draft.complete:
            text = said[0].text
            if said[0] == Delta(text=text):
                alike.learn(event, text)
        if draft.complete:
            self._settle(says_more=says and named)
        elif says:
            self._goes_on = True

    def _read(self, event: Event) -> Iterator[Delta]:
        """What an event says. One that is no JSON is an error, unless it is plain that no text was in it."""
        try:
            yield from self._wire.read_event(event, self._draft)
        except UnusableAnswer:
            if event.name == b"error":
                raise
            if odd_events.is_last_word(event.data):  # of OpenAI's format, behind another's events
                self._draft.done = self._draft.complete = True
            elif not odd_events.says_nothing(event):
                parts = odd_events.apart(event)
                if not parts:
                    raise
                for part in parts:
                    yield from self._read(part)

    def _settle(self, *, says_more: bool) -> None:
        """A reason to end was named. It is none where every event names one, as with older models of Gemini's."""
        if says_more:
            self._goes_on = False
            if self._settled:
                self._settled = False
                self.call.resume()
        elif self._goes_on and not self._settled:
            self._settled = True
            self.call.drain(LAST_WORDS_S)

    def _end(self, parser: EventParser) -> Iterator[Delta]:
        yield from self._last_event(parser)
        self.call.end()
        if not self._draft.is_complete():
            if (error := odd_events.stray_error(parser.strays, self._wire.error_class)) is not None:
                raise error
            raise StreamCut("the stream ended before its end")
        yield from self._draft.end()

    def _last_event(self, parser: EventParser) -> Iterator[Delta]:
        try:
            for event in parser.end():
                for delta in self._read(event):
                    self._note(delta)
                    yield delta
        except UnusableAnswer as error:
            if self._settled:
                return
            if error.provider_code is None:  # half an event is no JSON
                raise StreamCut("the stream ended in the middle of an event") from None
            raise

    def _note(self, delta: Delta) -> None:
        """Blanks begin no answer."""
        if delta.is_visible:
            self.call.begin()
            self.call.note_content()
        elif delta.reasoning and not delta.reasoning.isspace():
            self.call.begin()

    def _drain(self, response: Response) -> None:
        """Read what HTTP still has to say behind the last event; a connection that does not end there is closed."""
        self.call.drain(DRAIN_S)
        with suppress(ProviderError):
            for _ in response.pieces():
                pass

    def answer(self) -> Answer:
        """Raises UnusableAnswer or ContentFiltered where the response holds nothing a caller can use."""
        draft = self._draft
        draft.check()
        headers = self._headers
        return Answer(
            text=draft.answer_text(),
            finish=draft.finish_class(),
            usage=draft.usage_of(self._request),
            timing=self.call.timing(),
            model=surrogates.whole(draft.model) or self._model,
            reasoning="".join(draft.reasoning),
            tool_calls=draft.tool_calls(),
            provider_request_id=next((headers[name] for name in REQUEST_IDS if headers.get(name)), None)
            or surrogates.whole(draft.id)
            or None,
            rate_limits=rate_limits.of(headers),
            dropped=self.dropped,
            reported_cost_usd=stated_cost(headers, self._endpoint.provider.cost_header),
            asked_model=self._model,
            refusal="".join(draft.refusal),
            extra=draft.extra,
            logprobs=draft.logprobs or None,
            others=tuple(other.choice(place) for place, other in sorted(draft.others.items())),
            stop_word=draft.stop_word,
            stop_sequence=draft.stop_sequence,
            native=draft.native_content(),
            native_facts=draft.native_facts,
        )

    @property
    def usage(self) -> Usage:
        """As far as it is known: of what the provider has not told yet, estimated."""
        return self._draft.usage_of(self._request)

    @property
    def native_facts(self) -> Mapping[str, Any]:
        """So far."""
        return self._draft.native_facts

    def blame(self, error: ProviderError) -> None:
        """Give the error its timing, and take the key out of it."""
        blamed(error, self._endpoint, self.call)

    def wait(self, *, waits: bool) -> bool:
        return self._response is not None and self._response.wait(waits=waits)

    @property
    def waits_for(self) -> Connection | None:
        return None if self._response is None else self._response.waits_for

    def close(self) -> None:
        """End the exchange, in the thread that reads it; before its end, its connection is not used again."""
        if self._response is not None:
            self._response.close()


def blamed(error: ProviderError, endpoint: Endpoint, call: Call) -> ProviderError:
    """The error with its timing, and without the key: some providers repeat it."""
    error.timing = call.timing()
    for secret in (endpoint.key, *endpoint.headers.values()):
        error.args = tuple(without_key(str(part), secret) for part in error.args)
    return error


def without_key(text: str, key: str) -> str:
    return text.replace(key, "[key]") if len(key) >= SHORTEST_KEY else text


def stated_cost(headers: Mapping[str, str], name: str | None) -> float | None:
    """USD, where the answer's header of that name (Provider.cost_header) says it."""
    try:
        cost = float(headers.get(name.lower(), "")) if name else math.nan
    except ValueError:
        return None
    return cost if math.isfinite(cost) and cost >= 0 else None
