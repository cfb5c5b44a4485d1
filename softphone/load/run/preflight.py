"""Checks, before the first request is sent, that ports and descriptors suffice."""

from __future__ import annotations

import socket
from pathlib import Path

from softphone.errors import ConfigurationError
from softphone.load.plan import LoadPlan
from softphone.operating_system import descriptor_limits, raise_descriptor_limit

SPARE = 64
"""Descriptors for the event loop, files and the screen."""
ROWS_A_SOCKET = 200
"""Streams that share one pair of sockets."""
ANY = "0.0.0.0"
"""Without a `host` in the plan, a port counts as free when it is free on all addresses."""
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def check_resources(plan: LoadPlan) -> None:
    """Raise ConfigurationError when the run would run out of ports or descriptors.

    Raises the soft limit of descriptors as needed, within the hard one.
    """
    # In a scenario with two sides both legs of a call are here.
    streams = plan.calls * (2 if plan.target is None else 1)
    shared = plan.sockets == "shared"
    pairs = -(-streams // ROWS_A_SOCKET) if shared else streams
    # The key log is open once for each user's context of TLS.
    files = len(plan.users) if plan.tls_key_log is not None else 0
    _check_descriptors(2 * pairs + len(plan.users) + files + SPARE)
    _check_connections(len(plan.users))
    _check_ports(plan, pairs)


def check_connections(connections: int) -> None:
    """Raise ConfigurationError for more connections than there are descriptors or local ports.

    Raises the soft limit of descriptors as needed, within the hard one.
    """
    _check_descriptors(connections + SPARE)
    _check_connections(connections)


def _check_descriptors(needed: int) -> None:
    limits = descriptor_limits()
    if limits is None:
        return  # not POSIX: the system's own error has to do
    soft, hard = limits
    if soft is None or needed <= soft:
        return
    if hard is not None and needed > hard:
        raise ConfigurationError(
            f"the run needs {needed:,} file descriptors, and this process may have {hard:,}: "
            f"raise the limit (ulimit -Hn {needed}), or use --sockets shared or more --workers"
        )
    raise_descriptor_limit(needed)


def _check_connections(users: int) -> None:
    """Check the ephemeral ports: each user's connection to the server takes one."""
    try:
        first, last = (int(word) for word in EPHEMERAL.read_text().split())
    except (OSError, ValueError):
        return  # not Linux: the system's own error has to do
    if users > last - first + 1:
        raise ConfigurationError(
            f"{users:,} users need as many connections, and this machine has {last - first + 1:,} "
            "local ports: widen net.ipv4.ip_local_port_range, or use fewer users"
        )


def _check_ports(plan: LoadPlan, needed: int) -> None:
    first, last = plan.ports
    even = first + (first & 1)
    there = max(0, (last - even + 1) // 2)
    if needed > there:
        raise ConfigurationError(
            f"the run needs {needed:,} pairs of media ports, and --ports {first}-{last} has "
            f"{there:,}: give a wider range, or use --sockets shared"
        )
    host = plan.host or ANY
    if not _is_ours(host):
        raise ConfigurationError(f"--host {host}: this machine has no such address")
    free = 0
    for port in range(even, last, 2):
        free += _is_free(host, port)
        if free >= needed:
            return
    raise ConfigurationError(
        f"the run needs {needed:,} pairs of media ports on {host}, and of --ports "
        f"{first}-{last} only {free:,} are free"
    )


def _is_ours(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for each in (port, port + 1):
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((host, each))
            except OSError:
                return False
    return True
