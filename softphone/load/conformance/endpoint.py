"""Sends one exchange at a time and reports its outcome: a sans-IO machine for the driver.

The status of a malformed response is read, too, since a target may repeat in it what was malformed
in the request.  What an INVITE of a case begins is ended at once: by CANCEL once it rings, by ACK
and BYE after a 2xx.  For an INVITE that our own parser refuses no ACK can be made; the target gives
up by itself (RFC 3261, timer H).  Requests of the target are answered with 481.
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict

from softphone.errors import LocalProtocolError
from softphone.load.conformance.reply import Exchange, Reply
from softphone.load.sipp.closing import acknowledgement, closing_request
from softphone.sans_io import Flow, Target, Timers, Transmit
from softphone.sip.message import (
    CrlfKeepAlive,
    ParsedInput,
    Request,
    Response,
    StreamFramer,
    parse_datagram,
)

logger = logging.getLogger("softphone.load")

T1 = 0.5
"""Seconds until the first retransmission over UDP (RFC 3261 section 17.1.1.1)."""
MOST_COPIES = 3
"""Retransmissions of a request over UDP, fewer than timers B and F would allow."""
MOST_INVITES = 32
"""INVITEs whose late responses are still answered with ACK, CANCEL or BYE."""
MOST_ANSWERS = 8
"""Responses to one INVITE that are answered with such requests."""
_STATUS_LINE = re.compile(rb"^SIP/2\.0 ([1-6][0-9]{2})\b", re.IGNORECASE | re.MULTILINE)


class _SentInvite:
    """An INVITE that was sent; `answers` counts the requests that followed from its responses."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.answers = 0
        self.canceled = False


class ConformanceEndpoint:
    """A machine for the driver: each exchange results in one event, a `Reply`."""

    def __init__(self) -> None:
        self._exchange: Exchange | None = None
        self._flow: Flow | None = None
        self._began = 0.0
        self._copies = 0
        self._provisional: Reply | None = None
        self._invites: OrderedDict[str, _SentInvite] = OrderedDict()
        self._framers: dict[Flow, StreamFramer] = {}
        self._timers: Timers[str] = Timers()
        self._out: list[Transmit] = []
        self._events: list[Reply] = []

    def begin(self, exchange: Exchange, flow: Flow, *, now: float) -> None:
        """Send the messages of an exchange.  Raises LocalProtocolError during another one."""
        if self._exchange is not None:
            raise LocalProtocolError("an exchange is going on")
        self._exchange, self._flow, self._began = exchange, flow, now
        self._copies, self._provisional = 0, None
        for message in exchange.messages:
            self._note_invite(message)
        self._out += [Transmit(message, flow) for message in exchange.messages]
        self._timers.set("end", now + exchange.wait)
        if exchange.repeats and not flow.transport.reliable:
            self._timers.set("repeat", now + T1)

    def close_flow(self, flow: Flow) -> None:
        """Close a connection; the next exchange uses another one."""
        self._framers.pop(flow, None)
        self._out.append(Transmit(b"", flow, close=True))

    # The machine ------------------------------------------------------------------------------

    def receive(self, data: bytes, *, flow: Flow, now: float) -> None:
        """Take received bytes."""
        if not flow.transport.reliable:
            self._take(parse_datagram(data), data, flow, now)
            return
        framer = self._framers.setdefault(flow, StreamFramer())
        for item in framer.feed(data):
            self._take(item, data, flow, now)

    def connected(self, *, flow: Flow, now: float, target: Target | None = None) -> None:
        """Take a new flow."""

    def disconnected(self, *, flow: Flow | Target, reason: str | None, now: float) -> None:
        """End the exchange of a flow that has ended."""
        if isinstance(flow, Flow):
            self._framers.pop(flow, None)
            if flow == self._flow and self._exchange is not None:
                self._end(self._provisional or Reply(closed=flow.transport.reliable))

    def handle_timer(self, *, now: float) -> None:
        """Retransmit what is due, or end the exchange."""
        while (due := self._timers.pop_due(now)) is not None:
            if self._exchange is None or self._flow is None:
                continue
            if due == "end":
                self._end(self._provisional or Reply())
                continue
            flow, self._copies = self._flow, self._copies + 1
            self._out += [Transmit(message, flow) for message in self._exchange.messages]
            if self._copies < MOST_COPIES:
                self._timers.set("repeat", now + T1 * 2**self._copies)

    def next_timer(self) -> float | None:
        """The earliest deadline."""
        return self._timers.next_deadline()

    def transmits(self) -> list[Transmit]:
        """Take out what is to be sent."""
        out, self._out = self._out, []
        return out

    def next_event(self) -> Reply | None:
        """Take out the outcome of the exchange."""
        return self._events.pop(0) if self._events else None

    # Within -----------------------------------------------------------------------------------

    def _note_invite(self, message: bytes) -> None:
        request = parse_datagram(message)
        if isinstance(request, Request) and request.method == "INVITE":
            self._invites[request.top_via.branch or ""] = _SentInvite(request)
            if len(self._invites) > MOST_INVITES:
                self._invites.popitem(last=False)

    def _take(self, item: ParsedInput, data: bytes, flow: Flow, now: float) -> None:
        match item:
            case Request():
                if item.method != "ACK":
                    self._refuse(item, flow)
            case Response():
                branch = item.top_via.branch or ""
                self._close_invite(item, branch, flow)
                if not (item.cseq.method == "CANCEL" and branch in self._invites):
                    self._note_response(item.status, item, flow, now)
            case CrlfKeepAlive():
                pass
            case _:
                found, exchange = _STATUS_LINE.search(data), self._exchange
                named = exchange is not None and (exchange.branch or exchange.call_id)
                if found is not None and named and named.encode() in data:
                    self._note_response(int(found[1]), None, flow, now)

    def _refuse(self, request: Request, flow: Flow) -> None:
        response = request.response(481, to_tag=None if request.to.tag else "none")
        try:
            self._out.append(Transmit(response.encode(), flow))
        except LocalProtocolError:
            logger.info("a request cannot be answered: its fields cannot be written again")

    def _note_response(
        self, status: int, response: Response | None, flow: Flow, now: float
    ) -> None:
        exchange = self._exchange
        if exchange is None or flow != self._flow or status == 100:
            return
        if response is not None and not _belongs(response, exchange):
            return  # a late response, to an earlier case or to a message before the last
        reply = Reply(status, response, seconds=now - self._began)
        self._timers.cancel("repeat")
        if status < 200:
            self._provisional = reply
        elif self._provisional is not None and status == 487:
            self._end(self._provisional)
        else:
            self._end(reply)

    def _close_invite(self, response: Response, branch: str, flow: Flow) -> None:
        """End what an INVITE has begun at the target."""
        sent = self._invites.get(branch)
        if sent is None or response.cseq.method != "INVITE" or response.status == 100:
            return
        if sent.answers >= MOST_ANSWERS or (response.provisional and sent.canceled):
            return
        sent.answers += 1
        sent.canceled |= response.provisional
        requests = [closing_request(sent.request, response)]
        if response.success:
            requests.insert(0, acknowledgement(sent.request, response))
        self._out += [Transmit(data, flow) for data in requests if data is not None]

    def _end(self, reply: Reply) -> None:
        self._timers.cancel("end", "repeat")
        self._exchange = None
        self._events.append(reply)


def _belongs(response: Response, exchange: Exchange) -> bool:
    if exchange.branch:
        return response.top_via.branch == exchange.branch
    return response.call_id == exchange.call_id
