"""softphone.messaging.storage."""

from __future__ import annotations

from softphone.messaging.storage.archive import Archive
from softphone.messaging.storage.audit import Audit, AuditRecord, audit_table
from softphone.messaging.storage.audit_triggers import setup_script
from softphone.messaging.storage.database import sqlalchemy_there
from softphone.messaging.storage.postgres_connection import DatabaseNetwork, network_of
from softphone.messaging.storage.third_party_archive import ThirdPartyArchive

__all__ = [
    "Archive",
    "Audit",
    "AuditRecord",
    "DatabaseNetwork",
    "ThirdPartyArchive",
    "audit_table",
    "network_of",
    "setup_script",
    "sqlalchemy_there",
]
