"""The progress reports of a boot: one step each, with the file, its signer and the basis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from softphone.trust import TrustBasis


class StepKind(StrEnum):
    """Kinds of steps."""

    LIST_ACCEPTED = "list_accepted"
    LIST_UNCHANGED = "list_unchanged"
    LIST_MISSING = "list_missing"
    LIST_REFUSED = "list_refused"
    UNPROTECTED = "unprotected"
    SERVER_AWAY = "server_away"
    CONFIGURATION_VERIFIED = "configuration_verified"
    CONFIGURATION_REPLAYED = "configuration_replayed"
    CONFIGURATION_KEPT = "configuration_kept"
    CONFIGURATION_AWAITED = "configuration_awaited"
    STRING_WANTED = "string_wanted"
    ENROLLING = "enrolling"
    ENROLLMENT_PROGRESS = "enrollment_progress"
    ENROLLED = "enrolled"
    CERTIFICATE_REVERTED = "certificate_reverted"
    READY = "ready"
    REGISTERED = "registered"

    @property
    def worrying(self) -> bool:
        """Whether a person should look at it."""
        return self in (
            StepKind.LIST_REFUSED,
            StepKind.UNPROTECTED,
            StepKind.SERVER_AWAY,
            StepKind.CONFIGURATION_REPLAYED,
            StepKind.CONFIGURATION_KEPT,
            StepKind.STRING_WANTED,
            StepKind.CERTIFICATE_REVERTED,
        )


@dataclass(frozen=True, slots=True)
class BootStep:
    """One step; `sentence` describes it for a person.

    `file` is the name of its file, `place` the server that sent it, `by` the SHA-256 of the
    signer's certificate, `basis` the reason to trust the signer.
    """

    kind: StepKind
    sentence: str
    file: str = ""
    place: str = ""
    by: str = ""
    basis: TrustBasis | None = None
    notes: tuple[str, ...] = ()


OnBootStep: TypeAlias = Callable[[BootStep], None]
