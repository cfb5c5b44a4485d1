"""Moves a registration to a new connection that shows another certificate; calls stay up.

The connection in use is left only after the server has taken the new one (RFC 8446: a session
keeps the certificate that it began with, so a new certificate needs a new connection).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from softphone.account.registration_failure import registration_failure
from softphone.account.signaling import SignalingEvent, SignalingMachine
from softphone.errors import LocalProtocolError
from softphone.events import RegistrationChanged, RegistrationState
from softphone.net import Driver
from softphone.sip.registration import MoveEnded, NodeRegistration
from softphone.trust import TlsSettings

__all__ = ["RegistrationMigration"]


class RegistrationMigration:
    """One move at a time."""

    def __init__(self, machine: SignalingMachine, driver: Driver[SignalingEvent]) -> None:
        self._machine = machine
        self._driver = driver
        self._moves = 0
        self._waiting: asyncio.Future[MoveEnded] | None = None

    async def migrate(self, tls: TlsSettings) -> None:
        """Register over a new connection with these settings.

        Raises RegistrationError, TransportError or CertificateError by cause, LocalProtocolError
        when there is nothing to move.
        """
        registration = self._machine.registration
        if not isinstance(registration, NodeRegistration) or self._waiting is not None:
            raise LocalProtocolError("there is no registration along nodes to be moved")
        # The connection in use has the other name of the two.
        credential = f"renewed-{self._moves % 2}"
        self._driver.replace_settings(credential, tls)
        waiting = asyncio.get_running_loop().create_future()
        self._waiting = waiting
        try:
            with self._driver.change() as now:
                registration.move_to_new_flow(credential, now=now)
            outcome = await waiting
        finally:
            self._waiting = None
        if outcome.moved:
            self._moves += 1
            return
        target = replace(registration.target, credential=credential)
        change = RegistrationChanged(
            RegistrationState.FAILED,
            outcome.status,
            outcome.reason,
            unanswered=outcome.unanswered,
        )
        raise registration_failure(change, self._driver.failure_of(target), target)

    def handle_move_ended(self, event: MoveEnded) -> None:
        """The registration has told how it went."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(event)
