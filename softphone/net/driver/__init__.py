"""The driver: runs a sans-IO machine on its flows, its timer and a clock.

It opens, accepts and closes flows, writes all bytes for a stream in one turn of the event loop at
once, and reports every event.  It knows no protocol: the machines are in `softphone.sip`,
`softphone.trust` and `softphone.provisioning`.  TCP and TLS connections are in
`softphone.net.stream`, limits in `softphone.net`; the media engine has its own clock
(`softphone.media.engine`).

No standard of its own: the contract with a machine is that of `softphone.sans_io`.  UDP follows
RFC 3261 section 18.
"""

from __future__ import annotations

from softphone.net.driver.driver import Driver, DriverConfig, LazyFetcher

__all__ = ["Driver", "DriverConfig", "LazyFetcher"]
