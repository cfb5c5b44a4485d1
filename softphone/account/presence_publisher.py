"""Publishes and refreshes the account's own presence, as PIDF (RFC 3903, RFC 3856)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from softphone.account.watch import AccountParts
from softphone.backoff import ExponentialBackoff
from softphone.errors import CertificateError, TransportError
from softphone.events import Presence
from softphone.sip import NameAddr, Publication, PublishRequest
from softphone.sip.event_packages import PRESENCE, print_pidf

logger = logging.getLogger("softphone.account")

EXPIRES = 3600
"""The lifetime of a publication to ask for, in seconds."""
LEAST_INTERVAL = 1.0
"""The least seconds between two publications, however often the state changes."""
BACKOFF = ExponentialBackoff(first=5.0, longest=600.0)
HOPELESS = frozenset({401, 403, 404, 405, 407, 415, 489, 501})
"""The refusals after which nothing more is published."""


class PresencePublisher:
    """Publishes that the account is available, and whether it is on the phone: `busy()`."""

    def __init__(self, parts: AccountParts, busy: Callable[[], bool]) -> None:
        self._parts = parts
        self._busy = busy
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._published: Presence | None = None
        self._entity_tag = ""

    def start(self) -> None:
        """Begin to publish."""
        context, _ = self._parts()
        self._task = context.tasks.spawn(self._keep_published())

    def update(self) -> None:
        """Publish again if the state has changed."""
        self._changed.set()

    def close(self) -> None:
        """Remove the publication, without waiting for the response (RFC 3903 section 4.5)."""
        if self._task is not None:
            self._task.cancel()
        if self._entity_tag:
            context, _ = self._parts()
            context.tasks.spawn(self._withdraw())

    async def _withdraw(self) -> None:
        tag, self._entity_tag = self._entity_tag, ""
        await self._send(None, tag, expires=0)

    async def _keep_published(self) -> None:
        """Publish each change, and refresh before the publication expires."""
        failures = 0
        while True:
            presence = Presence(True, self._busy())
            self._changed.clear()
            tag = self._entity_tag
            refreshes = bool(tag) and presence == self._published
            try:
                done = await self._publish(None if refreshes else presence, tag)
            except (TransportError, CertificateError) as error:
                logger.info("%s: presence cannot be published: %s", self._aor, error)
                done = None
            if done is not None and done.accepted and done.entity_tag:
                failures, self._published, self._entity_tag = 0, presence, done.entity_tag
                await asyncio.sleep(LEAST_INTERVAL)
                await self._wait(_refresh_after(done.granted))
                continue
            self._entity_tag = ""
            if done is not None and done.status in HOPELESS:
                logger.warning("%s: the server takes no presence: %d %s", self._aor, done.status,
                               done.reason)  # fmt: skip
                return
            failures += 1
            if done is None or done.status != 412 or not tag:  # 412: publish again at once (4.4)
                await asyncio.sleep(BACKOFF.delay(failures - 1))

    @property
    def _aor(self) -> str:
        return self._parts()[0].config.aor

    async def _wait(self, seconds: float) -> None:
        """Wait for a change, at most until the publication has to be refreshed."""
        try:
            async with asyncio.timeout(seconds):
                while Presence(True, self._busy()) == self._published:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return

    async def _publish(self, presence: Presence | None, entity_tag: str) -> Publication | None:
        """Publish a state, or refresh the one that `entity_tag` names; None if it was dropped."""
        done: asyncio.Future[Publication] = asyncio.get_running_loop().create_future()

        def finish(publication: Publication) -> None:
            if not done.done():
                done.set_result(publication)

        sent = await self._send(presence, entity_tag, expires=EXPIRES, on_done=finish)
        return None if sent is None else await done

    async def _send(
        self,
        presence: Presence | None,
        entity_tag: str,
        *,
        expires: int,
        on_done: Callable[[Publication], None] = lambda _: None,
    ) -> Publication | None:
        context, locator = self._parts()
        uri = context.config.aor_uri
        hop = await locator.first_hop(uri)
        request = PublishRequest(
            uri=uri,
            local=NameAddr(context.config.display_name, uri, ()),
            to=hop.flow,
            event=PRESENCE,
            body=None if presence is None else print_pidf(str(uri), presence),
            entity_tag=entity_tag,
            expires=expires,
            route_set=hop.route_set,
            failover=hop.failover,
            credentials=context.credentials,
        )
        with context.change() as now:
            return context.machine.publisher.publish(request, now=now, on_done=on_done)


def _refresh_after(granted: int | None) -> float:
    """Return the seconds until a publication is refreshed."""
    lifetime = EXPIRES if granted is None else granted
    return max(lifetime - 32.0, lifetime / 2, LEAST_INTERVAL)
