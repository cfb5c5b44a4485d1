"""The files that `[file name=…]` puts into messages, read once, before anything is sent."""

from __future__ import annotations

from pathlib import Path

from softphone.load.sipp.template import decode_text
from softphone.operating_system import read_file

MOST_OCTETS = 65_535
"""The most octets of one file: more fit into no datagram."""


class MessageFiles:
    """Reads files from beside the scenario, or else from the working folder, where allowed."""

    def __init__(self, folder: Path, allowed: bool) -> None:
        self._folder = folder
        self._allowed = allowed
        self._read: dict[str, str] = {}

    def text(self, name: str) -> str:
        """Return the text of a file, whose octets `encode_text` gives back.

        Raises ValueError where files are not allowed, and for what is no regular file, too large
        or cannot be read.
        """
        if not self._allowed:
            raise ValueError("a scenario reads files only with --allow-exec")
        if name not in self._read:
            beside = self._folder / name
            path = beside if beside.exists() else Path(name)
            try:
                self._read[name] = decode_text(_octets(path))
            except OSError as error:
                raise ValueError(f"{path}: {error.strerror or error}") from error
        return self._read[name]


def _octets(path: Path) -> bytes:
    """The octets of a regular file.  Raises OSError and ValueError."""
    data = read_file(path, most=MOST_OCTETS + 1)
    if len(data) > MOST_OCTETS:
        raise ValueError(f"{path}: more than {MOST_OCTETS:,} octets")
    return data
