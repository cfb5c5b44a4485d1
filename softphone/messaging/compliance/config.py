"""The configuration of compliance: policies, external server, databases."""

from __future__ import annotations

from dataclasses import dataclass, field

from softphone.errors import ConfigurationError
from softphone.messaging.compliance.policies import (
    CompliancePolicy,
    DomainPolicy,
    FileSizePolicy,
    FileTypePolicy,
    NoCapturesPolicy,
    NoFilesPolicy,
)
from softphone.messaging.compliance.server import ComplianceServer, FileHandoverLimit
from softphone.net.http import HttpsEnvironment, https_target
from softphone.trust import Service, TlsSettings

LARGEST = 100 << 20


@dataclass(frozen=True, slots=True)
class ComplianceConfig:
    """Compliance of one messaging account: who decides, and where decisions are kept."""

    audit: str
    """The database of the audit table: a file, or an SQLAlchemy address.  Every decision is a row
    before a message or file leaves or is shown."""
    archive: str | None = None
    """The database of the third-party archive, which gets every clear message."""
    server: str | None = None
    """An https: address that is asked each time, and shown the certificate of `tls`."""
    tls: TlsSettings = field(default_factory=lambda: TlsSettings(service=Service.HTTPS))
    """Whom to believe and what to show, at the compliance server and the file server."""
    domains: tuple[str, ...] | None = None
    """The only domains that may be spoken with; by default all."""
    types: tuple[str, ...] | None = None
    """The only media types of files, judged by content; by default all."""
    largest: int = LARGEST
    """Bytes that a file may have."""
    handover: int = 0
    """Files of up to so many bytes are given to the `server`, and larger ones denied; 0: it is told
    of files only."""
    files: bool = True
    """Whether files come and go at all."""
    captures: bool = True
    """Whether captures of a screen may be sent."""
    within: float = 5.0
    """Seconds for a database, and for the `server`; `timeout` in a file."""
    file_within: float = 300.0
    """Seconds for one file, to the file server and to the compliance server; in Python only."""

    def __post_init__(self) -> None:
        if self.tls.service is not Service.HTTPS:
            raise ConfigurationError("im.compliance.tls: the settings are those of another service")
        if self.largest < 1:
            raise ConfigurationError("im.compliance.largest: expected a number of bytes")
        if self.handover and self.server is None:
            raise ConfigurationError("im.compliance.handover: there is no server to give files to")
        if self.server is not None:
            https_target(self.server)
            if self.tls.credential is None:
                raise ConfigurationError(
                    "im.compliance.server: it is shown a client certificate: give tls.certificate"
                    " and tls.key"
                )

    def policies(self, environment: HttpsEnvironment) -> tuple[CompliancePolicy, ...]:
        """Who decides, in this order: what forbids most comes first, the server last."""
        found: list[CompliancePolicy] = [FileSizePolicy(self.largest)]
        if not self.files:
            found.insert(0, NoFilesPolicy())
        if not self.captures:
            found.insert(0, NoCapturesPolicy())
        if self.types is not None:
            found.append(FileTypePolicy(self.types))
        if self.domains is not None:
            found.append(DomainPolicy(self.domains))
        if self.server is not None:
            given = FileHandoverLimit(self.handover, self.file_within) if self.handover else None
            found.append(
                ComplianceServer(
                    self.server,
                    self.tls,
                    within=self.within,
                    environment=environment,
                    handover=given,
                )
            )
        return tuple(found)
