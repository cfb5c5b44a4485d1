"""Sources that may be read ahead of time: their samples do not depend on when they are read."""

from __future__ import annotations

from typing import Protocol, cast

from softphone.media.interface import Pcm, Source


class ReadAheadSource(Protocol):
    """A source that gives the same samples whenever it is read, and can take back the last ones.

    `read` gives fewer samples than asked for only at the end.  Classes inherit from it explicitly:
    an application's class may have an unrelated `unread`.
    """

    def read(self, samples: int) -> Pcm:
        """Return the next int16[samples], fewer at the end."""

    def unread(self, samples: int) -> None:
        """Take back the last `samples`, at most those of the last `read`: they are read again."""


def as_read_ahead_source(source: Source) -> ReadAheadSource | None:
    """Return the source if it is a `ReadAheadSource`, else None.

    None also for an application's subclass that overrides `read` alone.
    """
    kinds = type(source).__mro__
    if ReadAheadSource not in kinds:
        return None
    owner = next(kind for kind in kinds if "unread" in vars(kind) or "read" in vars(kind))
    return cast("ReadAheadSource", source) if "unread" in vars(owner) else None
