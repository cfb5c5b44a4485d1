"""Injected faults: lost and late packets, cut connections, users with wrong credentials.

A relay between each stream and its far end drops and delays RTP both ways.  The far end must send
to the address that media comes from (RFC 4961), as most do.  RTCP is not affected.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from softphone.errors import ConfigurationError, NoPortFree
from softphone.load.plan import FaultSpec, LoadPlan, UserSpec
from softphone.media import (
    AllocatedStream,
    EventCallback,
    MediaBackend,
    StreamHandle,
    StreamSpec,
)
from softphone.sans_io import Address

FAULTS = (
    "loss=1%, delay=50ms, cut=10s (a connection is lost every 10 s), outage=60s (all are, of users "
    "who are kept registered), wrong-password=5%, "
    "certificate=1%:FILE:KEY (a share of the users shows this one)"
)
LARGEST = 2048


def parse_fault(text: str, faults: FaultSpec) -> FaultSpec:
    """Parse a fault and add it to `faults`.  Raises ConfigurationError."""
    name, _, value = text.partition("=")
    try:
        if name == "loss":
            return replace(faults, loss=_share(value))
        if name == "delay":
            return replace(faults, delay=_seconds(value))
        if name == "cut":
            return replace(faults, cut_every=_seconds(value))
        if name == "outage":
            return replace(faults, outage_every=_seconds(value))
        if name == "wrong-password":
            return replace(faults, wrong_password=_share(value))
        if name == "certificate":
            share, certificate, key = value.split(":")
            for file in (certificate, key):
                if not Path(file).is_file():
                    raise ConfigurationError(f"the fault {text!r}: there is no file {file}")
            part = _share(share)
            return replace(faults, bad_certificate=part, certificate=certificate, key=key)
    except ValueError as error:
        raise ConfigurationError(f"the fault {text!r}: {error}; known are {FAULTS}") from error
    raise ConfigurationError(f"the fault {text!r} is unknown; known are {FAULTS}")


def _share(text: str) -> float:
    value = float(text.removesuffix("%")) / 100.0
    if not text.endswith("%") or not 0 < value <= 1:
        raise ValueError(f"{text!r} is no share such as 1%")
    return value


def _seconds(text: str) -> float:
    scale = 0.001 if text.endswith("ms") else 1.0
    value = float(text.removesuffix("ms").removesuffix("s")) * scale
    if not text.endswith("s") or not 0 < value < 86400:
        raise ValueError(f"{text!r} is no time such as 50ms or 10s")
    return value


def users_with_faults(users: tuple[UserSpec, ...], faults: FaultSpec) -> tuple[UserSpec, ...]:
    """Give shares of the users a wrong password or another certificate, evenly spread."""
    wrong, bad = _every(faults.wrong_password), _every(faults.bad_certificate)
    found = list(users)
    for at, user in enumerate(users, 1):
        if wrong(at):
            found[at - 1] = replace(user, wrong_password=True)
        elif bad(at):
            found[at - 1] = replace(user, certificate=faults.certificate, key=faults.key)
    return tuple(found)


def injected_users(plan: LoadPlan) -> Counter[str]:
    """How many users of a plan have which fault."""
    found = Counter({"user with a wrong password": sum(each.wrong_password for each in plan.users)})
    if plan.faults.bad_certificate:
        shown = sum(each.certificate == plan.faults.certificate for each in plan.users)
        found["user with another certificate"] = shown
    return +found


def _every(share: float) -> Callable[[int], bool]:
    """A predicate that selects `share` of all numbers, evenly: where int(n * share) steps up."""
    return lambda at: int(at * share + 1e-9) > int((at - 1) * share + 1e-9)


class _ImpairmentRelay:
    """One socket that relays packets between a stream and its far end; `injected` counts faults.

    With `sent_only` those of the far end are neither lost nor delayed.
    """

    def __init__(
        self,
        near: Address,
        far: Address,
        faults: FaultSpec,
        seed: int,
        injected: Counter[str],
        *,
        sent_only: bool = False,
    ) -> None:
        family = socket.AF_INET6 if ":" in near[0] else socket.AF_INET
        self.far = far
        self._near = near
        self._faults = faults
        self._injected = injected
        self._sent_only = sent_only
        self._chance = random.Random(seed)
        self._loop = asyncio.get_running_loop()
        self._timers: set[asyncio.TimerHandle] = set()
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.bind((near[0], 0))
        except OSError as error:
            self._socket.close()
            raise NoPortFree(f"no socket can be bound for a relay: {error}") from error
        self.address: Address = self._socket.getsockname()[:2]
        try:
            self._loop.add_reader(self._socket, self._read)
        except NotImplementedError:
            self._socket.close()
            raise ConfigurationError(
                "faults in media need an event loop with add_reader: asyncio.SelectorEventLoop"
            ) from None

    def _read(self) -> None:
        while True:
            try:
                data, source = self._socket.recvfrom(LARGEST)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error of an earlier datagram
            ours = tuple(source[:2]) == self._near
            to = self.far if ours else self._near
            if self._sent_only and not ours:
                self._send_datagram(data, to)
                continue
            if self._chance.random() < self._faults.loss:
                self._injected["packet lost"] += 1
                continue
            if not self._faults.delay:
                self._send_datagram(data, to)
                continue
            self._injected["packet delayed"] += 1
            timer: list[asyncio.TimerHandle] = []
            timer.append(self._loop.call_later(self._faults.delay, self._late, timer, data, to))
            self._timers.add(timer[0])

    def _late(self, timer: list[asyncio.TimerHandle], data: bytes, to: Address) -> None:
        self._timers.discard(timer[0])
        self._send_datagram(data, to)

    def _send_datagram(self, data: bytes, to: Address) -> None:
        with suppress(OSError):  # as on the wire
            self._socket.sendto(data, to)

    def close(self) -> None:
        """Close the socket; delayed packets are lost."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._loop.remove_reader(self._socket)
        self._socket.close()


class ImpairedMediaBackend:
    """A `MediaBackend` whose streams go through relays (see the module docstring).

    `injected` counts the packets that were dropped or delayed.  With `sent_only` only our own are.
    """

    def __init__(
        self, backend: MediaBackend, faults: FaultSpec, *, seed: int, sent_only: bool = False
    ) -> None:
        self._sent_only = sent_only
        self._backend = backend
        self._faults = faults
        self._seed = seed
        self.injected: Counter[str] = Counter()
        self._locals: dict[StreamHandle, AllocatedStream] = {}
        self._relays: dict[StreamHandle, _ImpairmentRelay] = {}
        # These do not involve addresses and need no relay.
        self.rekey, self.set_direction = backend.rekey, backend.set_direction
        self.expect_packets = backend.expect_packets
        self.play, self.record, self.monitor = backend.play, backend.record, backend.monitor
        self.send_digits, self.mute, self.pause = backend.send_digits, backend.mute, backend.pause
        self.statistics = backend.statistics
        self.freeze_statistics = backend.freeze_statistics
        self.packet_counts = backend.packet_counts
        self.find_public_addresses = backend.find_public_addresses
        self.rebind_stream = backend.rebind_stream

    def allocate_stream(
        self, *, host: str | None = None, on_event: EventCallback | None = None
    ) -> AllocatedStream:
        """See `MediaBackend`."""
        local = self._backend.allocate_stream(host=host, on_event=on_event)
        self._locals[local.handle] = local
        return local

    def open_stream(self, handle: StreamHandle, spec: StreamSpec) -> None:
        """Open the stream towards a relay; see `MediaBackend`.  Raises NoPortFree."""
        host, port = spec.remote
        rtcp = spec.remote_rtcp or ((host, port) if spec.rtcp_mux else (host, min(port + 1, 65535)))
        relay = self._relay(handle, spec.remote)
        # Latching onto the source of the media would bypass the relay.
        changed = replace(spec, remote=relay.address, remote_rtcp=rtcp, symmetric=False)
        self._backend.open_stream(handle, changed)

    def _relay(self, handle: StreamHandle, far: Address) -> _ImpairmentRelay:
        relay = self._relays.get(handle)
        if relay is None:
            local = self._locals[handle]
            seed = self._seed * 1_000_003 + local.ssrc
            near = (local.host, local.rtp_port)
            relay = _ImpairmentRelay(
                near, far, self._faults, seed, self.injected, sent_only=self._sent_only
            )
            self._relays[handle] = relay
        relay.far = far
        return relay

    def set_remote(
        self, handle: StreamHandle, remote: Address, remote_rtcp: Address | None = None
    ) -> None:
        """See `MediaBackend`."""
        rtcp = remote_rtcp or (remote[0], min(remote[1] + 1, 65535))
        self._backend.set_remote(handle, self._relay(handle, remote).address, rtcp)

    def close_stream(self, handle: StreamHandle) -> None:
        """See `MediaBackend`."""
        self._locals.pop(handle, None)
        relay = self._relays.pop(handle, None)
        if relay is not None:
            relay.close()
        self._backend.close_stream(handle)
