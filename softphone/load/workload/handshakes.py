"""TLS handshakes with a server: full ones and resumed ones, each measured apart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from softphone.account import tls_settings
from softphone.errors import ConfigurationError, SoftphoneError
from softphone.load.measure import FULL_HANDSHAKE, RESUMED_HANDSHAKE, Operation
from softphone.load.plan import base_account, config_of, server_target
from softphone.load.workload.workload import Workload
from softphone.net import DriverConfig
from softphone.net.verified.timed_handshake import HandshakeTimer, ResumableSession
from softphone.sans_io import Transport
from softphone.trust.fips import decide_mode, require_mode

NOT_RESUMED = "the server did not resume the session"


class Handshakes(Workload):
    """Each arrival is a handshake; the plan's share of them resumes a session of an earlier one."""

    operations = (FULL_HANDSHAKE, RESUMED_HANDSHAKE)
    options = frozenset({"resumed"})

    async def open(self, stack: AsyncExitStack, progress: Callable[[int, int], None]) -> None:
        """Do one handshake; keep its session if any are to be resumed.

        Raises ConfigurationError where sessions are to be resumed and the server gives none;
        TransportError, CertificateError or CipherRefused without a verified connection.
        """
        account = config_of(base_account(self.plan), self.plan.users[0])
        mode = decide_mode(None, account.fips)
        require_mode(mode)
        server = account.server_uri
        assert server is not None  # the base account has a server, or is refused
        target = server_target(account, server)
        if target.transport is not Transport.TLS:
            raise ConfigurationError(f"{server}: TLS handshakes are with a server of TLS (sips:)")
        self._timer = HandshakeTimer(
            target,
            tls_settings(account, fips=mode.on),
            DriverConfig(source=self.plan.host),
            clock=self.meter.clock,
        )
        self._share = self._spec.resumed
        self._kept: list[ResumableSession] = []
        if self._share:
            kept = await self._timer.resumable_session()
            if kept is None:
                raise ConfigurationError(
                    f"{target.host}: the server gives no session to resume, neither by a ticket nor"
                    " by an identifier; measure full handshakes alone (--resumed 0)"
                )
            self._kept.append(kept)
        else:
            await self._timer.handshake()
        self._tasks: dict[asyncio.Task[None], Operation] = {}
        stack.push_async_callback(self._cancel)

    async def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def begin(self, number: int, done: Callable[[], None]) -> None:
        """Begin a handshake."""
        # Evenly: number n resumes where int(n * share) steps up.
        resumes = int((number + 1) * self._share + 1e-9) > int(number * self._share + 1e-9)
        task = asyncio.ensure_future(self._resume() if resumes else self._handshake())
        self._tasks[task] = RESUMED_HANDSHAKE if resumes else FULL_HANDSHAKE

        def ended(task: asyncio.Task[None]) -> None:
            operation = self._tasks.pop(task)
            if task.cancelled():
                self.meter.operations.fail(operation, "not done at the end of the run")
            done()

        task.add_done_callback(ended)

    async def _handshake(self) -> None:
        self.meter.operations.begin(FULL_HANDSHAKE)
        try:
            seconds, _ = await self._timer.handshake()
        except SoftphoneError as error:
            self.meter.fail(FULL_HANDSHAKE, error)
        else:
            self.meter.operations.succeed(FULL_HANDSHAKE, seconds)

    async def _resume(self) -> None:
        self.meter.operations.begin(RESUMED_HANDSHAKE)
        # The newest: a ticket of TLS 1.3 may be good only once.  The last one left is kept.
        kept = self._kept.pop() if len(self._kept) > 1 else self._kept[0]
        try:
            seconds, resumed, following = await self._timer.resume(kept)
        except SoftphoneError as error:
            self.meter.fail(RESUMED_HANDSHAKE, error)
            return
        self._kept.append(following)
        del self._kept[: -self.plan.calls - 1]
        if resumed:
            self.meter.operations.succeed(RESUMED_HANDSHAKE, seconds)
        else:
            self.meter.operations.fail(RESUMED_HANDSHAKE, NOT_RESUMED)

    @property
    def up(self) -> int:
        """The handshakes under way."""
        return len(self._tasks)

    async def finish(self) -> None:
        """End what is still under way, which counts as failed."""
        await self._cancel()
