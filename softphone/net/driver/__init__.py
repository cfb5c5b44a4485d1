"""The driver: runs a sans-IO machine on its flows, its timer and a clock.

It opens, accepts and closes flows, makes one write of all bytes that a stream gets in one turn of
the event loop, and reports every event.  The machines are in `softphone.sip`, `softphone.trust` and
`softphone.provisioning`, TCP and TLS connections in `softphone.net.stream`, limits in
`softphone.net`; the media engine has its own clock (`softphone.media.engine`).

The contract with a machine is in `softphone.sans_io`.  UDP follows RFC 3261 section 18.
"""

from __future__ import annotations

from softphone.net.driver.driver import Driver, DriverConfig, LazyFetcher

__all__ = ["Driver", "DriverConfig", "LazyFetcher"]
