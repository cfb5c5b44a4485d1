"""Workers on a Ray cluster: each is an actor with a core of its own, spread over the nodes.

They exchange the same lines with the pool as local workers.  The pool compares their wall clocks
with its own, so that all begin together.  Files that a plan names must exist on every node.
Ray is an extra (`pip install 'softphone[cluster]'`), imported on use.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from softphone.errors import ConfigurationError
from softphone.extras import install_command
from softphone.load.distribute.worker import run_worker
from softphone.load.distribute.worker_channel import MAXIMUM_LINE, encode_line

HIRE_PATIENCE = 60.0
"""Seconds that Ray has to place a worker on a node."""
COMPARISONS = 5


class RayWorker:
    """The Ray actor: runs a worker whose lines travel as Ray method calls."""

    def __init__(self) -> None:
        self._reader = asyncio.StreamReader(limit=MAXIMUM_LINE)
        self._said: asyncio.Queue[bytes] = asyncio.Queue()

    async def now(self) -> float:
        """The wall clock of this node."""
        return time.time()

    async def node(self) -> str:
        """The address by which Ray knows this node."""
        ray: Any = import_module("ray")
        return str(ray.util.get_node_ip_address())

    async def work(self) -> int:
        """Run one share; returns the exit code."""
        try:
            return await run_worker(self._reader, self._say)
        finally:
            self._said.put_nowait(b"")

    def _say(self, kind: str, value: object = None) -> None:
        self._said.put_nowait(encode_line(kind, value))

    async def say(self, data: bytes) -> None:
        """Receive a line from the pool; b"" is the end."""
        if data:
            self._reader.feed_data(data)
        else:
            self._reader.feed_eof()

    async def hear(self) -> bytes:
        """Wait for the next line to the pool; b"" at the end."""
        return await self._said.get()


class RayWorkerChannel:
    """The channel to a worker that is a Ray actor, on the node at the address `node`.

    `offset` is how many seconds the node's wall clock is ahead of ours.
    """

    def __init__(self, ray: Any, actor: Any, offset: float, node: str) -> None:
        self.offset = offset
        self.node = node
        self._ray = ray
        self._actor = actor
        self._working = actor.work.remote()
        self._lost = ""

    @classmethod
    async def hire(cls, ray: Any) -> RayWorkerChannel:
        """Have Ray place a worker on a node.  Raises ConfigurationError when none has room."""
        # `hear` waits while other calls go on, so the actor must run several at a time.
        actor = (
            ray.remote(RayWorker)
            .options(num_cpus=1, scheduling_strategy="SPREAD", max_concurrency=16)
            .remote()
        )
        try:
            async with asyncio.timeout(HIRE_PATIENCE):
                offset = await _compare(actor)
                node = await actor.node.remote()
        except TimeoutError:
            ray.kill(actor)
            raise ConfigurationError(
                f"the Ray cluster has no free core for a worker within {HIRE_PATIENCE:g} s: "
                "use fewer --workers, or more nodes"
            ) from None
        return cls(ray, actor, offset, node)

    def send_line(self, data: bytes) -> None:
        """See `WorkerChannel`."""
        # Ray keeps the order of calls from one caller.
        self._actor.say.remote(data)

    async def receive_line(self) -> bytes:
        """See `WorkerChannel`."""
        try:
            data: bytes = await self._actor.hear.remote()
        except self._ray.exceptions.RayError as error:
            self._lost = f"the actor or its node is gone: {type(error).__name__}"
            return b""
        return data

    async def wait_for_end(self) -> str:
        """See `WorkerChannel`."""
        if self._lost:
            return self._lost
        try:
            return f"ended with code {await self._working}"
        except self._ray.exceptions.RayError as error:
            return f"the actor or its node is gone: {type(error).__name__}"

    def close_input(self) -> None:
        """See `WorkerChannel`."""
        self._actor.say.remote(b"")

    def kill(self) -> None:
        """See `WorkerChannel`."""
        self._ray.kill(self._actor)


async def _compare(actor: Any) -> float:
    """How many seconds the node's clock is ahead: the quickest of a few probes (as in NTP)."""
    best = (float("inf"), 0.0)
    for _ in range(COMPARISONS):
        asked = time.time()
        there = await actor.now.remote()
        took = time.time() - asked
        best = min(best, (took, there - asked - took / 2))
    return best[1]


async def _probe(address: str) -> None:
    """Connect to the address, since Ray alone retries for minutes.

    Raises ConfigurationError when nothing listens there.
    """
    host, colon, port = address.rpartition(":")
    if not colon or "/" in host or not port.isdecimal():
        return
    try:
        async with asyncio.timeout(5.0):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, TimeoutError, OverflowError) as error:
        raise ConfigurationError(f"--ray {address}: no cluster answers: {error}") from error
    writer.close()


@asynccontextmanager
async def ray_cluster(address: str) -> AsyncIterator[Any]:
    """Connect Ray to the cluster at `address` ("auto" finds a local one).

    Raises ConfigurationError when Ray is not installed or no cluster answers.
    """
    try:
        ray: Any = import_module("ray")
    except ImportError:
        raise ConfigurationError(f"--ray needs Ray: {install_command('cluster')}") from None
    await _probe(address)
    loop = asyncio.get_running_loop()

    def connect() -> None:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")

    try:
        await loop.run_in_executor(None, connect)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise ConfigurationError(f"--ray {address}: no cluster answers: {error}") from error
    try:
        yield ray
    finally:
        ray.shutdown()
