"""What compliance is configured with: policies, who is asked, where it is written down."""

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

__all__ = ["ComplianceConfig"]

LARGEST = 100 << 20


@dataclass(frozen=True, slots=True)
class ComplianceConfig:
    """Compliance of one messaging account; `audit` and `archive` are SQLAlchemy addresses.

    Every decision goes into the table at `audit`, every clear message into the database at
    `archive` (the third-party archive), before it leaves or is shown.  `domains` and media
    `types`, None for any, are the only ones allowed; files have `largest` bytes at most.
    `server` is asked besides, at an https: address, and shown the certificate of `tls`, which has
    `within` seconds to answer; files of up to `handover` bytes are given to it, and larger ones
    denied, unless that is 0: then it is told of files only.  `file_within` bounds the seconds of
    one file, on its way to the file server and to that one.
    """

    audit: str
    archive: str | None = None
    server: str | None = None
    tls: TlsSettings = field(default_factory=lambda: TlsSettings(service=Service.HTTPS))
    domains: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    largest: int = LARGEST
    handover: int = 0
    files: bool = True
    captures: bool = True
    within: float = 5.0
    file_within: float = 300.0

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
