"""Publishing event state: PUBLISH outside any dialog, sans IO (RFC 3903).

    publisher = Publisher(endpoint)
    publication = publisher.publish(PublishRequest(...), now=now)
    publisher.handle_event(event, now=now)  # for each event of the endpoint: whether it was its own

Each publication is an event of its own, as reports are: it is made, and neither refreshed, modified
nor removed (section 4.4 to 4.6).  A collector that wants it to live longer gets that once (423).
Few are under way at a time: what is beyond that is refused here, so that a collector that never
answers holds up nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from softphone.sans_io import Flow, Target
from softphone.sip.auth import Authenticator
from softphone.sip.dialog import leading_route
from softphone.sip.endpoint import Endpoint
from softphone.sip.events import RequestFailed, ResponseReceived
from softphone.sip.message import Body, Field, NameAddr, Request, Response, Uri
from softphone.sip.transaction import Exchange
from softphone.sip.transport import Failover

MOST_UNDER_WAY = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRequest:
    """What a PUBLISH is made of; `uri` is whose state it is, and `expires` None leaves that to
    the far end."""

    uri: Uri
    local: NameAddr
    to: Flow | Target
    event: str
    body: Body
    expires: int | None = None
    route_set: tuple[NameAddr, ...] = ()
    headers: tuple[Field, ...] = ()
    credentials: Authenticator | None = None
    failover: Failover | None = None

    def build_request(self, expires: int | None) -> Request:
        """The request without From tag, Call-ID and CSeq, which the endpoint gives it."""
        uri, routes = leading_route(self.uri, self.route_set)
        fields: list[Field] = [
            ("From", str(self.local)),
            ("To", str(NameAddr(None, self.uri, ()))),
            *(("Route", str(route)) for route in routes),
            ("Event", self.event),
        ]
        if expires is not None:
            fields.append(("Expires", str(expires)))
        return Request.build("PUBLISH", uri, [*fields, *self.headers], self.body)


@dataclass(slots=True, eq=False)
class Publication:
    """One publication: `status` is 0 until it is over, then the final one, or 408 or 503 when
    nobody `answered`; `entity_tag` is what the far end calls it."""

    publish_request: PublishRequest
    on_done: Callable[[Publication], None] = field(repr=False)
    status: int = 0
    reason: str = ""
    entity_tag: str = ""
    expires: int | None = None
    answered: bool = False

    @property
    def accepted(self) -> bool:
        """Whether the far end took it."""
        return 200 <= self.status < 300


def _ignore(_: Publication) -> None:
    """Nobody waits for it."""


class Publisher:
    """The publications of one endpoint that are under way."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._open: dict[Exchange, Publication] = {}
        self.dropped = 0
        """Publications that were not sent, since too many were under way."""

    def __len__(self) -> int:
        return len(self._open)

    def publish(
        self,
        publish_request: PublishRequest,
        *,
        now: float,
        on_done: Callable[[Publication], None] = _ignore,
    ) -> Publication | None:
        """Send it; None when too many are under way already.

        `on_done` is called from `handle_event`, once it is over.
        """
        if len(self._open) >= MOST_UNDER_WAY:
            self.dropped += 1
            return None
        publication = Publication(publish_request, on_done, expires=publish_request.expires)
        self._send_publish(publication, now)
        return publication

    def _send_publish(self, publication: Publication, now: float) -> None:
        publish_request = publication.publish_request
        exchange = self._endpoint.send_request(
            publish_request.build_request(publication.expires),
            to=publish_request.to,
            now=now,
            credentials=publish_request.credentials,
            failover=publish_request.failover,
        )
        self._open[exchange] = publication

    def handle_event(self, event: object, *, now: float) -> bool:
        """Take an event of the endpoint; whether it was about a publication."""
        if not isinstance(event, ResponseReceived | RequestFailed):
            return False
        publication = self._open.get(event.exchange)
        if publication is None:
            return False
        if isinstance(event, RequestFailed):
            self._finish(event.exchange, publication, event.status_hint, event.reason)
        elif event.final:
            self._answered(event.exchange, publication, event.response, now)
        return True

    def _answered(
        self, exchange: Exchange, publication: Publication, response: Response, now: float
    ) -> None:
        least = response.min_expires
        asked, first = (
            publication.expires,
            publication.expires == publication.publish_request.expires,
        )
        brief = asked is not None and least is not None and least > asked
        if response.status == 423 and brief and first:
            # Once: what it refuses then is what it has named itself.
            del self._open[exchange]
            publication.expires = least
            self._send_publish(publication, now)
            return
        publication.entity_tag = response.headers.get("SIP-ETag") or ""
        publication.answered = True
        self._finish(exchange, publication, response.status, response.reason)

    def _finish(
        self, exchange: Exchange, publication: Publication, status: int, reason: str
    ) -> None:
        del self._open[exchange]
        publication.status, publication.reason = status, reason
        publication.on_done(publication)
