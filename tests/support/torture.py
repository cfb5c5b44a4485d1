"""The messages of RFC 4475, which softphone packages, and `test` from the RFC's own archive."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
DATA = PROJECT / "tests" / "data" / "rfc4475"
_FOLDERS = (PROJECT / "softphone" / "load" / "conformance" / "messages" / "rfc4475", DATA)
_FOUND = {path.stem: path.read_bytes() for folder in _FOLDERS for path in folder.glob("*.dat")}
TORTURE = {name: _FOUND[name] for name in sorted(_FOUND)}
"""Every message by its name, in order of names."""
