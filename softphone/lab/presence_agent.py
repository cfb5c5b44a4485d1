"""The lab's presence server: notifies watchers of what users publish (RFC 3856, RFC 3903).

A user who has published nothing, or whose publication has expired, is not available.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from softphone.events import Presence
from softphone.lab.registrar import LabResponse
from softphone.sans_io import Entropy
from softphone.sip import (
    Body,
    EventHandlers,
    MalformedMessage,
    NotifierUsage,
    Request,
    SipEvent,
    SubscriptionRefreshed,
    SubscriptionTerminated,
)
from softphone.sip.event_packages import PIDF, parse_pidf, print_pidf

LIFETIME = 3600
"""The longest lifetime in seconds that a publication is granted."""


@dataclass(slots=True)
class _Publication:
    entity_tag: str
    body: Body
    timer: asyncio.TimerHandle


class LabPresenceAgent:
    """Keeps one publication of each user, and the watchers."""

    def __init__(
        self,
        entropy: Entropy,
        run_command: Callable[[Callable[[float], object]], None],
        handlers: EventHandlers,
    ) -> None:
        self._entropy = entropy
        self._run_command = run_command
        self._handlers = handlers
        self._published: dict[str, _Publication] = {}
        self._watchers: dict[NotifierUsage, str] = {}

    def presence_of(self, name: str) -> Presence:
        """The presence of a user."""
        published = self._published.get(name)
        return Presence(False) if published is None else parse_pidf(published.body.data)

    def handle_publish(self, name: str, request: Request) -> LabResponse:
        """Process one PUBLISH of an authenticated user (RFC 3903 section 6)."""
        tag, before = request.headers.get("SIP-If-Match"), self._published.get(name)
        if tag is not None and (before is None or before.entity_tag != tag):
            return LabResponse(412)
        content = request.content
        if content is None and before is None:
            return LabResponse(400, "Nothing is published")
        if content is not None and content.media_type != PIDF:
            return LabResponse(415, "", (("Accept", PIDF),))
        try:
            if content is not None:
                parse_pidf(content.data)
        except MalformedMessage as error:
            return LabResponse(400, error.reason)
        asked = request.expires
        return self._store(name, content, LIFETIME if asked is None else min(asked, LIFETIME))

    def _store(self, name: str, content: Body | None, expires: int) -> LabResponse:
        before = self._published.pop(name, None)
        if before is not None:
            before.timer.cancel()
        tag = self._entropy(8).hex()
        body = content if content is not None or before is None else before.body
        if expires and body is not None:
            timer = asyncio.get_running_loop().call_later(expires, self._expire, name)
            self._published[name] = _Publication(tag, body, timer)
        self._notify_all(name)
        return LabResponse(200, "", (("SIP-ETag", tag), ("Expires", str(expires))))

    def _expire(self, name: str) -> None:
        self._published.pop(name, None)
        self._notify_all(name)

    def subscribe(self, subscription: NotifierUsage, name: str) -> None:
        """Accept the subscription of an authenticated user to another user's presence."""
        self._watchers[subscription] = name
        self._handlers.set_handler(subscription, self)
        self._run_command(lambda now: subscription.accept(now=now, expires=float(LIFETIME)))
        self._notify(subscription, name)

    def handle_event(self, event: SipEvent) -> None:
        """Answer a refresh with the state; forget a watcher that has left."""
        match event:
            case SubscriptionRefreshed() if event.subscription in self._watchers:
                self._notify(event.subscription, self._watchers[event.subscription])
            case SubscriptionTerminated() if isinstance(event.subscription, NotifierUsage):
                self._watchers.pop(event.subscription, None)

    def close(self) -> None:
        """Forget all publications."""
        for published in self._published.values():
            published.timer.cancel()
        self._published.clear()

    def _notify_all(self, name: str) -> None:
        for subscription, watched in tuple(self._watchers.items()):
            if watched == name:
                self._notify(subscription, name)

    def _notify(self, subscription: NotifierUsage, name: str) -> None:
        published = self._published.get(name)
        body = print_pidf(f"sip:{name}", Presence(False)) if published is None else published.body
        self._run_command(lambda now: subscription.notify(body, now=now))
