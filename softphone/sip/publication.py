"""Publication of event state: PUBLISH outside any dialog, sans I/O (RFC 3903).

    publisher = Publisher(endpoint)
    publication = publisher.publish(PublishRequest(...), now=now)
    publisher.handle_event(event, now=now)  # for each event of the endpoint; True if it was ours

Without an entity tag a publication is initial, as reports are; with one it refreshes, modifies or,
with Expires 0, removes what the tag names (sections 4.3 to 4.5).  After a 423 it is sent once more
with the longer Expires.  At most `MOST_UNDER_WAY` are under way; further ones are dropped, so that
they cannot pile up behind a collector that never answers.
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
    """The description of a PUBLISH.

    `uri` is the resource whose state is published; `expires` is in seconds, None leaves it to the
    far end.  `entity_tag` names what was published before; then `body` None refreshes it.
    """

    uri: Uri
    local: NameAddr
    to: Flow | Target
    event: str
    body: Body | None
    entity_tag: str = ""
    expires: int | None = None
    route_set: tuple[NameAddr, ...] = ()
    headers: tuple[Field, ...] = ()
    credentials: Authenticator | None = None
    failover: Failover | None = None

    def build_request(self, expires: int | None) -> Request:
        """Build the request without From tag, Call-ID and CSeq, which the endpoint adds."""
        uri, routes = leading_route(self.uri, self.route_set)
        fields: list[Field] = [
            ("From", str(self.local)),
            ("To", str(NameAddr(None, self.uri, ()))),
            *(("Route", str(route)) for route in routes),
            ("Event", self.event),
        ]
        if self.entity_tag:
            fields.append(("SIP-If-Match", self.entity_tag))
        if expires is not None:
            fields.append(("Expires", str(expires)))
        return Request.build("PUBLISH", uri, [*fields, *self.headers], self.body)


@dataclass(slots=True, eq=False)
class Publication:
    """One publication.

    `status` is 0 until it is over, then the final status, or 408 or 503 if no response came
    (`answered` is False).  `entity_tag` is the SIP-ETag of the response, `granted` its Expires.
    """

    publish_request: PublishRequest
    on_done: Callable[[Publication], None] = field(repr=False)
    status: int = 0
    reason: str = ""
    entity_tag: str = ""
    expires: int | None = None
    answered: bool = False
    granted: int | None = None

    @property
    def accepted(self) -> bool:
        """Whether the final response was a 2xx."""
        return 200 <= self.status < 300


def _ignore(_: Publication) -> None:
    """Do nothing: the default `on_done`."""


class Publisher:
    """Sends publications over one endpoint and tracks those under way; `len()` counts them."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._open: dict[Exchange, Publication] = {}
        self.dropped = 0
        """The number of publications not sent because too many were under way."""

    def __len__(self) -> int:
        return len(self._open)

    def publish(
        self,
        publish_request: PublishRequest,
        *,
        now: float,
        on_done: Callable[[Publication], None] = _ignore,
    ) -> Publication | None:
        """Send a publication; return None if too many are under way.

        `handle_event` calls `on_done` once it is over.
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
        """Handle an event of the endpoint; return whether it concerned a publication."""
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
            # Retry once only: a second 423 refuses the Min-Expires of the first.
            del self._open[exchange]
            publication.expires = least
            self._send_publish(publication, now)
            return
        publication.entity_tag = response.headers.get("SIP-ETag") or ""
        publication.granted = response.expires
        publication.answered = True
        self._finish(exchange, publication, response.status, response.reason)

    def _finish(
        self, exchange: Exchange, publication: Publication, status: int, reason: str
    ) -> None:
        del self._open[exchange]
        publication.status, publication.reason = status, reason
        publication.on_done(publication)
