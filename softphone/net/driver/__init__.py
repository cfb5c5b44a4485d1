"""softphone.net.driver."""

from __future__ import annotations

from softphone.net.driver.driver import Driver, DriverConfig, LazyFetcher

__all__ = ["Driver", "DriverConfig", "LazyFetcher"]
