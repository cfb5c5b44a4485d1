"""Instant messages over XMPP: users signed in, messages between pairs, and what became of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from softphone.config.messaging_file import load_messaging
from softphone.errors import ConfigurationError, SoftphoneError
from softphone.load.measure import DELIVERY, SIGN_IN
from softphone.load.plan import UserSpec, password_of
from softphone.load.run.preflight import check_connections
from softphone.load.workload.workload import Workload
from softphone.messaging.config import HistoryConfig, MessagingConfig
from softphone.net import DnsResolver
from softphone.net.driver import LazyFetcher
from softphone.net.verified.connector import ConnectorConfig
from softphone.trust import TlsCredential
from softphone.trust.fips import decide_mode, random_bytes, require_mode

if TYPE_CHECKING:
    from softphone.messaging import MessagingClient

SIGN_INS_AT_ONCE = 32
KEPT = 16
"""Messages of each user that are kept as history: few, because a run reads none."""
LOST = "not arrived in time"
UNFINISHED = "not done at the end of the run"


class Messages(Workload):
    """Each arrival is a message from one user to the other of its pair, and its delivery."""

    operations = (SIGN_IN, DELIVERY)
    options = frozenset({"message_size"})

    async def open(self, stack: AsyncExitStack, progress: Callable[[int, int], None]) -> None:
        """Sign all users in, at the plan's rate of registrations.

        Raises ConfigurationError for no account, an odd number of users or no complete pair, and
        the first failure when nobody can sign in.
        """
        plan, spec = self.plan, self._spec
        account = plan.base.account
        if account is None:
            raise ConfigurationError(
                "--account: messages need a file with a table [im], which names server and trust"
            )
        if len(plan.users) < 2 or len(plan.users) % 2:
            raise ConfigurationError(
                f"messages go between the two users of a pair, and there are {len(plan.users)}"
                " users: give two for each pair (--user-count, or --users)"
            )
        check_connections(len(plan.users))
        file = load_messaging(account)
        mode = decide_mode(None, file.fips)
        require_mode(mode)
        key_log = None if plan.tls_key_log is None else Path(plan.tls_key_log)
        tls = replace(file.config.tls, fips=mode.on, key_log=key_log)
        base = replace(file.config, tls=tls)
        configs = [messaging_config(base, user) for user in plan.users]
        resolver = DnsResolver(entropy=random_bytes)
        connector = ConnectorConfig(LazyFetcher(resolver.resolve), resolve=resolver.resolve)
        # Only here: slixmpp is an extra, and other loads do without it.
        from softphone.messaging import MessagingClient, MessagingEnvironment

        environment = MessagingEnvironment(connector, resolver, random_bytes)
        self._make_client: Callable[[MessagingConfig], MessagingClient] = partial(
            MessagingClient, environment=environment
        )
        self._clients: list[MessagingClient | None] = [None] * len(configs)
        self._pending: dict[str, asyncio.Future[None]] = {}
        self._sending: dict[asyncio.Task[None], None] = {}
        self._reading: list[asyncio.Task[None]] = []
        self._text = "x" * spec.size
        stack.push_async_callback(self._sign_out)
        await self._sign_in(configs, progress)
        self._pairs = [
            (mine, theirs)
            for mine, theirs in zip(self._clients, _partners(self._clients), strict=True)
            if mine is not None and theirs is not None
        ]
        if not self._pairs:
            raise ConfigurationError("there is nobody to write to: no pair of users has signed in")

    async def _sign_in(
        self, configs: list[MessagingConfig], progress: Callable[[int, int], None]
    ) -> None:
        gate = asyncio.Semaphore(SIGN_INS_AT_ONCE)
        failures: list[SoftphoneError] = []
        done, begun = 0, self.meter.clock()

        async def one(number: int, config: MessagingConfig) -> None:
            nonlocal done
            at = begun + number / self.plan.register_rate
            await asyncio.sleep(max(0.0, at - self.meter.clock()))
            async with gate:
                self.meter.operations.begin(SIGN_IN)
                began = self.meter.clock()
                client = self._make_client(config)
                try:
                    await client.__aenter__()
                except SoftphoneError as error:
                    self.meter.fail(SIGN_IN, error)
                    failures.append(error)
                else:
                    self.meter.succeed(SIGN_IN, began)
                    self._clients[number] = client
                    self._reading.append(asyncio.ensure_future(self._read(client)))
            done += 1
            progress(done, len(configs))

        async with asyncio.TaskGroup() as group:
            for number, config in enumerate(configs):
                group.create_task(one(number, config))
        if failures and not any(self._clients):
            raise failures[0]

    async def _read(self, client: MessagingClient) -> None:
        """Note what arrives."""
        async for message in client:
            waiting = self._pending.get(message.body.partition(" ")[0])
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

    async def _sign_out(self) -> None:
        tasks = (*self._sending, *self._reading)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        gate = asyncio.Semaphore(SIGN_INS_AT_ONCE)

        async def leave(client: MessagingClient) -> None:
            async with gate:
                await client.close()

        clients = [client for client in self._clients if client is not None]
        await asyncio.gather(*map(leave, clients), return_exceptions=True)

    def begin(self, number: int, done: Callable[[], None]) -> None:
        """Begin to send message `number`."""
        mine, theirs = self._pairs[number // self.plan.workers % len(self._pairs)]
        token = f"{self.plan.worker}.{number}"
        task = asyncio.ensure_future(self._send(mine, theirs.jid, token))
        self._sending[task] = None
        task.add_done_callback(partial(self._sent, done))

    def _sent(self, done: Callable[[], None], task: asyncio.Task[None]) -> None:
        del self._sending[task]
        if task.cancelled():
            self.meter.operations.fail(DELIVERY, UNFINISHED)
        done()

    async def _send(self, mine: MessagingClient, to: str, token: str) -> None:
        self.meter.operations.begin(DELIVERY)
        begun, within = self.meter.clock(), self.plan.answer_timeout
        arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        arrived.add_done_callback(lambda done: self._arrived(done, begun))
        self._pending[token] = arrived
        try:
            async with asyncio.timeout(within):
                await mine.send(to, f"{token} {self._text}"[: self._spec.size], within=within)
                await arrived
        except TimeoutError:
            self.meter.operations.fail(DELIVERY, LOST)
        except SoftphoneError as error:
            if not arrived.done():
                self.meter.fail(DELIVERY, error)
        finally:
            del self._pending[token]

    def _arrived(self, done: asyncio.Future[None], begun: float) -> None:
        if not done.cancelled():
            self.meter.succeed(DELIVERY, begun)

    @property
    def up(self) -> int:
        """The messages under way."""
        return len(self._sending)

    async def finish(self) -> None:
        """End what is under way, which counts as failed."""
        tasks = tuple(self._sending)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _partners(clients: list[MessagingClient | None]) -> list[MessagingClient | None]:
    """The other one of each pair."""
    return [clients[number ^ 1] for number in range(len(clients))]


def messaging_config(base: MessagingConfig, user: UserSpec) -> MessagingConfig:
    """The chat account of one user: server, trust and policy of the base, and its own identity.

    Raises ConfigurationError.
    """
    jid = user.aor.partition(":")[2] if user.aor.lower().startswith(("xmpp:", "sip:")) else user.aor
    if "@" not in jid:
        jid = f"{jid}@{base.domain}"
    password = password_of(user)
    own = jid.lower() == base.jid
    credential = base.tls.credential if own else None
    if user.certificate is not None and user.key is not None:
        credential = TlsCredential(Path(user.certificate), Path(user.key))
    encryption = base.encryption
    if encryption is not None and encryption.negotiates and credential is None:
        # Between clients both need a certificate; that of the base is not this user's.
        encryption = replace(encryption, support_aes=False)
    return replace(
        base,
        jid=jid.lower(),
        password=password or (base.password if own else None),
        tls=replace(base.tls, credential=credential),
        encryption=encryption,
        history=HistoryConfig(limit=KEPT),
        resource=None,
    )
