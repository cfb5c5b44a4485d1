"""The compiled path of the ordinary packet, behind the same arrays as the NumPy path.

`kernel.c` receives, sends and plays packets that simply continue their stream; it leaves all others
to `softphone.media.tick` and `softphone.media.playout`, which also do everything where the kernel
was not built.  Both give the same packets, sound, counters and events to the bit.  The kernel does
SRTP by the libsrtp that pylibsrtp brings, and none in FIPS mode.

Where there is no recvmmsg, as on macOS, its part for sockets is left out, and datagrams go through
`softphone.net.datagrams`.

SOFTPHONE_KERNEL chooses: `auto` (the default) uses the kernel where it was built, `require` fails
without it, `off` never uses it.

RFC 3550 (RTP), RFC 3711 (SRTP, by libsrtp), RFC 5761 (RTCP on one port).
"""

from __future__ import annotations

from softphone.media.kernel.bank_kernel import (
    MOST_PACKETS,
    BankKernel,
    ReceivePlaces,
    SendPlaces,
)
from softphone.media.kernel.choice import KernelChoice, describe_path, load_kernel

__all__ = [
    "MOST_PACKETS",
    "BankKernel",
    "KernelChoice",
    "ReceivePlaces",
    "SendPlaces",
    "describe_path",
    "load_kernel",
]
