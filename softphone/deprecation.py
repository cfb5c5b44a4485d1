"""Warns about names that a later version will remove.

docs/reference/versioning.md says what is stable, and for how long a deprecated name stays.
"""

from __future__ import annotations

import warnings

__all__ = ["SoftphoneDeprecationWarning", "warn_deprecated"]


class SoftphoneDeprecationWarning(DeprecationWarning):
    """A stable name that is used will be removed: `since` that version, use `instead`."""

    def __init__(self, what: str, *, since: str, instead: str) -> None:
        super().__init__(f"{what} is deprecated since softphone {since}: use {instead}")
        self.what = what
        self.since = since
        """The version that deprecated it; it stays at least until the next minor version."""
        self.instead = instead
        """What to write in its place."""

    def __reduce__(self) -> tuple[object, ...]:
        return _make_warning, (self.what, self.since, self.instead)


def _make_warning(what: str, since: str, instead: str) -> SoftphoneDeprecationWarning:
    return SoftphoneDeprecationWarning(what, since=since, instead=instead)


def warn_deprecated(what: str, *, since: str, instead: str, stacklevel: int = 2) -> None:
    """Warn whoever called our caller; `stacklevel` counts as in `warnings.warn`.

    Raises the warning if the filters turn it into an error, as pytest's often do.
    """
    warning = SoftphoneDeprecationWarning(what, since=since, instead=instead)
    warnings.warn(warning, stacklevel=stacklevel + 1)
