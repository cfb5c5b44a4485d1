"""The values of keywords for one message of one call."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime

from softphone.load.sipp.received import ReceivedMessage
from softphone.load.sipp.settings import RunSettings
from softphone.load.sipp.template import Keyword
from softphone.load.sipp.values import Variables, finite_number
from softphone.sans_io import Flow
from softphone.security import CryptoSuite
from softphone.sip.message import Request, Response

AUTHENTICATION = "[authentication"
"""What a field begins with that is a keyword itself."""
_CRYPTO_OCTETS = CryptoSuite.AES_CM_128_HMAC_SHA1_80.material_length
"""Master key and salt, of both suites that have keywords."""


@dataclass(slots=True)
class CallState:
    """What keywords tell of a call.

    `number` counts from 1, `index` is the step's, `command` the twin's while the actions of
    `recvCmd` run.  `lines` has the line of each injection file.  `route_set` is in the order of
    Route, `next_url` the URI of the Contact, both of the message that a step with `rrs` took.
    `descriptions` has the last SDP of "ours" and of "theirs", `offer_of` whose offer is open, and
    `crypto_keys` the keys of ours that SDP has.
    """

    number: int
    call_id: str
    flow: Flow
    variables: Variables
    lines: Mapping[str, int]
    cseq: int = 0
    index: int = 0
    last: ReceivedMessage | None = None
    command: str | None = None
    peer_tag: str = ""
    route_set: list[str] = field(default_factory=list)
    next_url: str = ""
    descriptions: dict[str, bytes] = field(default_factory=dict, repr=False)
    offer_of: str = ""
    crypto_keys: dict[str, str] = field(default_factory=dict, repr=False)

    def take_message(self, received: ReceivedMessage) -> bool:
        """Record the last received message; True when it answers an offer of media."""
        self.last = received
        message = received.message
        answers = self.note_description("theirs", message.body)
        if isinstance(message, Request):
            # A request of ours counts on from those of the far end, as SIPp has it.
            self.cseq = max(self.cseq, message.cseq.number)
        elif message.to.tag is not None:
            self.peer_tag = message.to.tag
        return answers

    def note_description(self, whose: str, body: bytes) -> bool:
        """Record a body that is SDP; True when it answers an offer (RFC 3264)."""
        if not body.startswith(b"v=0"):
            return False
        repeated = self.descriptions.get(whose) == body
        self.descriptions[whose] = body
        if self.offer_of not in ("", whose):
            self.offer_of = ""
            return True
        if not repeated:
            self.offer_of = whose
        return False

    def take_routes(self, received: ReceivedMessage) -> None:
        """Record the route set and the remote target (RFC 3261 section 12.1)."""
        message = received.message
        routes = [str(route) for route in message.record_routes]
        self.route_set = routes[::-1] if isinstance(message, Response) else routes
        contact = received.values("Contact")
        if contact:
            text = contact[0]
            self.next_url = text.partition("<")[2].partition(">")[0] or text.partition(";")[0]


class KeywordValues:
    """Fills in keywords from the state of a call, `authorization` where the scenario has it."""

    def __init__(
        self, state: CallState, settings: RunSettings, *, now: float, authorization: str = ""
    ) -> None:
        self._state = state
        self._settings = settings
        self._now = now
        self._authorization = authorization

    def __call__(self, keyword: Keyword) -> str:
        """Return the value of one keyword."""
        found = _VALUES.get(keyword.name)
        return found(self, keyword) if found is not None else ""

    def field_text(self, keyword: Keyword) -> str:
        """Return the text of a field of an injection file."""
        files = self._settings.injections
        name = keyword.argument("file", self) or next(iter(files), "")
        if name not in files:
            return ""
        line = self._state.lines.get(name, 0)
        given = keyword.argument("line", self)
        if given is not None:
            line = int(finite_number(given))
        return files[name].field_text(line, int(keyword.subject))

    def _field(self, keyword: Keyword) -> str:
        text = self.field_text(keyword)
        # SIPp's users keep each user's name and password so.
        return self._authorization if text.startswith(AUTHENTICATION) else text

    def _last(self, keyword: Keyword) -> str:
        last = self._state.last
        return "" if last is None else last.header_line(keyword.subject)

    def _branch(self, keyword: Keyword) -> str:
        state = self._state
        return f"z9hG4bK-{self._settings.pid}-{state.number}-{state.index + keyword.offset}"

    def _own_media_port(self, keyword: Keyword) -> str:
        first, last = self._settings.media_ports
        pairs = max(1, (last - first + 1) // 2)
        return str(first + 2 * ((self._state.number - 1) % pairs) + keyword.offset)

    def _media_port(self, keyword: Keyword) -> str:
        return str(self._settings.media_ports[0] + keyword.offset)

    def _stream_port(self, keyword: Keyword) -> str:
        """The port of the call's own for what it streams; without one that of all calls."""
        video = keyword.name == "rtpstream_video_port"
        port_of = self._settings.media_port
        if port_of is None:
            return str(self._settings.media_ports[0] + 2 * video + keyword.offset)
        port = port_of(self._state.number, "video" if video else "audio")
        return str(port + keyword.offset)

    def _crypto_key(self, keyword: Keyword) -> str:
        """A key and salt for `inline:` (RFC 4568 section 6.1); with an offset the earlier one."""
        keys = self._state.crypto_keys
        if not keyword.offset or keyword.subject not in keys:
            drawn = self._settings.entropy(_CRYPTO_OCTETS)
            keys[keyword.subject] = base64.b64encode(drawn).decode()
        return keys[keyword.subject]

    def _routes(self, _: Keyword) -> str:
        return f"Route: {', '.join(self._state.route_set)}" if self._state.route_set else ""

    def _peer_tag(self, _: Keyword) -> str:
        return f";tag={self._state.peer_tag}" if self._state.peer_tag else ""

    def _date(self, _: Keyword) -> str:
        return format_datetime(datetime.fromtimestamp(self._settings.wall(), UTC), usegmt=True)

    def _timestamp(self, _: Keyword) -> str:
        return datetime.fromtimestamp(self._settings.wall(), UTC).isoformat(" ", "milliseconds")


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _family(address: str) -> str:
    return "6" if ":" in address else "4"


_VALUES: Mapping[str, Callable[[KeywordValues, Keyword], str]] = {
    "authentication": lambda v, k: v._authorization,
    "auto_media_port": KeywordValues._own_media_port,
    "branch": KeywordValues._branch,
    "call_id": lambda v, k: v._state.call_id,
    "call_number": lambda v, k: str(v._state.number),
    "clock_tick": lambda v, k: str(int(v._now * 1000)),
    "crypto": KeywordValues._crypto_key,
    "cseq": lambda v, k: str(v._state.cseq + k.offset),
    "date": KeywordValues._date,
    "field": KeywordValues._field,
    "file": lambda v, k: k.argument("text", v) or "",
    "key": lambda v, k: v._settings.keys[k.subject],
    "last": KeywordValues._last,
    "local_ip": lambda v, k: _host(v._state.flow.local[0]),
    "local_ip_type": lambda v, k: _family(v._state.flow.local[0]),
    "local_port": lambda v, k: str(v._state.flow.local[1]),
    "media_ip": lambda v, k: v._state.flow.local[0],
    "media_ip_type": lambda v, k: _family(v._state.flow.local[0]),
    "media_port": KeywordValues._media_port,
    "msg_index": lambda v, k: str(v._state.index),
    "next_url": lambda v, k: v._state.next_url,
    "peer_tag_param": KeywordValues._peer_tag,
    "pid": lambda v, k: str(v._settings.pid),
    "remote_host": lambda v, k: v._settings.remote_host,
    "remote_ip": lambda v, k: _host(v._state.flow.remote[0]),
    "remote_port": lambda v, k: str(v._state.flow.remote[1]),
    "routes": KeywordValues._routes,
    "rtpstream_audio_port": KeywordValues._stream_port,
    "rtpstream_video_port": KeywordValues._stream_port,
    "service": lambda v, k: v._settings.service,
    "text": lambda v, k: k.subject,
    "timestamp": KeywordValues._timestamp,
    "transport": lambda v, k: v._state.flow.transport.value.upper(),
    "variable": lambda v, k: v._state.variables.text(k.subject),
}
