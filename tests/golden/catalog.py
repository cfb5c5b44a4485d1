"""Every transcript by its name, and where its file is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.golden import (
    accounts,
    boot,
    calls,
    media,
    media_parts,
    registrations,
    sip_calls,
    sip_faults,
)

FOLDER = Path(__file__).resolve().parent.parent / "data" / "golden"

TRANSCRIPTS: dict[str, Callable[[], str]] = {
    **sip_calls.TRANSCRIPTS,
    **sip_faults.TRANSCRIPTS,
    **registrations.TRANSCRIPTS,
    **calls.TRANSCRIPTS,
    **media.TRANSCRIPTS,
    **media_parts.TRANSCRIPTS,
    **boot.TRANSCRIPTS,
    **accounts.TRANSCRIPTS,
}


def build(name: str) -> str:
    """The transcript as the code makes it now."""
    return TRANSCRIPTS[name]()


def stored(name: str) -> str | None:
    """The transcript as it was, None where it has no file."""
    path = FOLDER / f"{name}.txt"
    return path.read_bytes().decode() if path.exists() else None
