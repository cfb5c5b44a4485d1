"""softphone.net.verified."""

from __future__ import annotations

from softphone.net.verified.connector import Connector, ConnectorConfig
from softphone.net.verified.inspection import inspect_server
from softphone.net.verified.local_relay import LocalRelay
from softphone.net.verified.tvs_asker import TvsAsker

__all__ = ["Connector", "ConnectorConfig", "LocalRelay", "TvsAsker", "inspect_server"]
