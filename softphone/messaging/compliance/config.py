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
    """Compliance of one messaging account: its policies, and the databases that record them."""

    audit: str
    """The database of the audit table: a file, or an SQLAlchemy address.  Every decision is a row
    before a message or file leaves or is shown."""
    archive: str | None = None
    """The database of the third-party archive, which gets every clear message."""
    server: str | None = None
    """The https: address of the compliance server, which gets the client certificate of `tls`."""
    tls: TlsSettings = field(default_factory=lambda: TlsSettings(service=Service.HTTPS))
    """The trust anchors for the compliance server and the file server, and our certificate for the
    compliance server."""
    domains: tuple[str, ...] | None = None
    """The only domains that messages and files may be exchanged with; by default all."""
    types: tuple[str, ...] | None = None
    """The only media types of files, judged by content; by default all."""
    largest: int = LARGEST
    """The maximum size of a file, in bytes."""
    handover: int = 0
    """The maximum size, in bytes, of files that are sent to the `server`; larger ones are denied.
    With 0 the server gets only the description of a file."""
    files: bool = True
    """Whether files may be sent and received."""
    captures: bool = True
    """Whether screen captures may be sent."""
    within: float = 5.0
    """Seconds for each database change and each answer of the `server`; `timeout` in a file."""
    file_within: float = 300.0
    """Seconds to transfer one file, to the file server and to the compliance server; settable in
    Python only."""

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
        """Make the policies, in the order they are asked: the broadest first, the server last."""
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
