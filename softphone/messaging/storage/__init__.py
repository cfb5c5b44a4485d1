"""softphone.messaging.storage."""

from __future__ import annotations

from softphone.messaging.storage.archive import MessageArchive
from softphone.messaging.storage.audit import Audit, AuditRecord, audit_table
from softphone.messaging.storage.audit_triggers import setup_script
from softphone.messaging.storage.database import require_sqlalchemy
from softphone.messaging.storage.postgres_connection import DatabaseConnector, database_connector_of
from softphone.messaging.storage.third_party_archive import ThirdPartyArchive

__all__ = [
    "Audit",
    "AuditRecord",
    "DatabaseConnector",
    "MessageArchive",
    "ThirdPartyArchive",
    "audit_table",
    "database_connector_of",
    "require_sqlalchemy",
    "setup_script",
]
