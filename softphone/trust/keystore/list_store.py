"""The trust lists of one cluster on disk: the accepted lists, who vouched for them, and when.

`CTLFile.tlv` and `ITLFile.tlv` are the files as received.  `trust-lists.json` holds the basis and
the vouchers of each, against which later pins are checked.  Writes are atomic and changes take a
lock, so a process may be killed at any point, and several may share the folder.  A list that can
no longer be read is an error and never counts as missing: otherwise damaging a file would allow a
new trust on first use.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from softphone.errors import ConfigurationError
from softphone.operating_system import read_file
from softphone.trust.certificate import fingerprint_in, fingerprint_of, load_certificate_file
from softphone.trust.disk import (
    check_file,
    locked,
    make_folder,
    remove_leftovers,
    synchronize,
    write_private,
)
from softphone.trust.lists import (
    Acceptance,
    Bootstrap,
    FileRefused,
    ListKind,
    ListPolicy,
    TrustBasis,
    TrustList,
    TrustLists,
    TrustListUpdate,
    accept_list_file,
    check_pins,
    notes_on,
    parse_stored_list,
    update_lists,
    verify_trust_list,
)

logger = logging.getLogger("softphone.trust")

_HISTORY = "trust-lists.json"
_LOCK = ".trust-lists.lock"


@dataclass(frozen=True, slots=True)
class AcceptedList:
    """A stored list, its basis, signer (SHA-256, hex), time of acceptance (UTC), and warnings.

    `basis` and `accepted` are None when `trust-lists.json` has no entry for the list.
    """

    trust_list: TrustList
    basis: TrustBasis | None
    signer: str
    accepted: datetime | None
    notes: tuple[str, ...] = ()


class TrustListStore:
    """The trust lists in `folder`, which the first write makes (0700).

    Without a `policy`, signatures over SHA-1 are accepted with a note, also in FIPS mode, where
    CUCM's files are exempt.
    """

    def __init__(self, folder: str | os.PathLike[str], *, policy: ListPolicy | None = None) -> None:
        self.folder = Path(folder)
        self._policy = policy or ListPolicy()

    def held(self) -> TrustLists:
        """Load the accepted lists, verifying their signatures again.

        Raises ConfigurationError when one exists and cannot be read, or is not what was stored.
        """
        if not self.folder.is_dir():
            return TrustLists()
        with self._lock():
            return self._held()

    def accepted(self) -> tuple[AcceptedList, ...]:
        """Load the accepted lists, the CTL first, each with its basis, signer and time.

        Raises ConfigurationError as `held` does.
        """
        if not self.folder.is_dir():
            return ()
        with self._lock():
            held, history = self._held(), self._history()
        lists = (held.held(kind) for kind in ListKind)
        return tuple(_accepted(each, history) for each in lists if each is not None)

    def accept_list(
        self,
        kind: ListKind,
        data: bytes,
        *,
        wall: datetime,
        bootstrap: Bootstrap | None = None,
        confirmed: frozenset[bytes] = frozenset(),
        requested: str | None = None,
    ) -> Acceptance:
        """Decide on one list (see `acceptance.accept_list`), and store it when it is accepted.

        `requested` is the name that was requested, which the file may hold.  Raises FileRefused,
        with the cause; then the stored list stays.  Raises ConfigurationError when the store
        cannot be read or written.
        """
        make_folder(self.folder)
        with self._lock():
            self._sweep()
            accepted = self._decide(kind, data, bootstrap, confirmed, requested)
            self._store_list(accepted, wall)
        return accepted

    def renew(
        self,
        downloads: Mapping[ListKind, bytes],
        *,
        wall: datetime,
        bootstrap: Bootstrap | None = None,
        confirmed: frozenset[bytes] = frozenset(),
        requested: Mapping[ListKind, str] | None = None,
    ) -> TrustListUpdate:
        """Decide on downloaded lists (see `acceptance.update_lists`), and store the accepted ones.

        Raises ConfigurationError when the store cannot be read or written.
        """
        make_folder(self.folder)
        with self._lock():
            self._sweep()
            renewal = update_lists(
                self._held(),
                downloads,
                bootstrap=bootstrap,
                policy=self._policy,
                confirmed=confirmed,
                requested=requested,
            )
            for _, outcome in renewal.outcomes:
                if isinstance(outcome, Acceptance):
                    self._store_list(outcome, wall)
        return renewal

    def check(
        self,
        kind: ListKind,
        data: bytes,
        *,
        bootstrap: Bootstrap | None = None,
        confirmed: frozenset[bytes] = frozenset(),
        requested: str | None = None,
    ) -> Acceptance:
        """Decide as `accept_list` does, but store nothing.

        Raises FileRefused, ConfigurationError.
        """
        if not self.folder.is_dir():
            return self._decide(kind, data, bootstrap, confirmed, requested)
        with self._lock():
            return self._decide(kind, data, bootstrap, confirmed, requested)

    def check_pins(self, bootstrap: Bootstrap) -> None:
        """Check the pins against all stored lists.

        Raises FileRefused (PIN_MISMATCH), ConfigurationError.
        """
        check_pins(self.held(), bootstrap)

    def reset(self) -> tuple[ListKind, ...]:
        """Delete all lists; returns the kinds that were stored, readable or not.

        Raises ConfigurationError when they cannot be removed.
        """
        if not self.folder.is_dir():
            return ()
        with self._lock():
            self._sweep()
            there = tuple(kind for kind in ListKind if self._path(kind).exists())
            try:
                # The ITL first: if interrupted, the remaining CTL still has to vouch for the next.
                for path in (*map(self._path, reversed(ListKind)), self.folder / _HISTORY):
                    path.unlink(missing_ok=True)
                synchronize(self.folder)
            except OSError as exc:
                raise ConfigurationError(
                    f"the trust lists in {self.folder} cannot be removed: {exc.strerror}"
                ) from exc
        return there

    def _path(self, kind: ListKind) -> Path:
        return self.folder / kind.filename

    def _lock(self) -> AbstractContextManager[None]:
        return locked(self.folder / _LOCK)

    def _sweep(self) -> None:
        for name in (*(kind.filename for kind in ListKind), _HISTORY):
            remove_leftovers(self.folder, name)

    def _held(self) -> TrustLists:
        lists = TrustLists()
        found = [(kind, path) for kind in ListKind if (path := self._path(kind)).exists()]
        history = self._history() if found else {}
        for kind, path in found:
            read = _read(path, kind)
            lists = lists.holding(replace(read, vouchers=_vouchers(history.get(read.fingerprint))))
        return lists

    def _decide(
        self,
        kind: ListKind,
        data: bytes,
        bootstrap: Bootstrap | None,
        confirmed: frozenset[bytes],
        requested: str | None,
    ) -> Acceptance:
        return accept_list_file(
            kind,
            data,
            self._held(),
            bootstrap=bootstrap,
            policy=self._policy,
            confirmed=confirmed,
            requested=requested,
        )

    def _store_list(self, accepted: Acceptance, wall: datetime) -> None:
        """Store one list; writes its history entry first, so that no list is ever without one."""
        if accepted.basis is TrustBasis.UNCHANGED:
            return
        new = accepted.trust_list
        history = self._history() | {new.fingerprint: _entry(accepted, wall)}
        self._write_history(history)
        write_private(self._path(new.kind), new.data)
        synchronize(self.folder)
        held = self._held()
        kept = {each.fingerprint for each in (held.ctl, held.itl) if each is not None}
        self._write_history({key: entry for key, entry in history.items() if key in kept})
        synchronize(self.folder)

    def _write_history(self, history: Mapping[str, Any]) -> None:
        write_private(self.folder / _HISTORY, json.dumps(history, indent=1).encode())

    def _history(self) -> dict[str, Any]:
        """The entries of `trust-lists.json` by list SHA-256; without one a list has no vouchers."""
        path = self.folder / _HISTORY
        check_file(path)
        try:
            read = json.loads(read_file(path))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as exc:
            logger.warning("%s does not tell how the lists were accepted: %s", path, exc)
            return {}
        return read if isinstance(read, dict) else {}


def bootstrap_of(pins: Iterable[str], *, first_use: bool = False) -> Bootstrap:
    """Return how the user wants the first list to be accepted.

    Each of `pins` is the SHA-256 of a signer's certificate in hex, or names a file with
    certificates (PEM or DER).  Raises ConfigurationError, also when both ways are wanted.
    """
    found: set[str] = set()
    for pin in pins:
        one = fingerprint_in(pin)
        if one is not None:
            found.add(one)
        else:
            found |= {fingerprint_of(each) for each in load_certificate_file(Path(pin))}
    if found and first_use:
        raise ConfigurationError("give pins or trust on first use, not both")
    return Bootstrap(frozenset(found), first_use)


def _read(path: Path, kind: ListKind) -> TrustList:
    """Read a stored list and verify its signature again.  Raises ConfigurationError."""
    check_file(path)
    try:
        read = parse_stored_list(read_file(path))
        verify_trust_list(read)
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc.strerror}") from exc
    except FileRefused as exc:
        raise _damaged(path, str(exc)) from exc
    if read.kind is not kind:
        raise _damaged(path, f"it is a {read.kind.value.upper()}")
    return read


def _damaged(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is not what was stored ({why}): restore it, or reset the trust lists"
    )


def _entry(accepted: Acceptance, wall: datetime) -> dict[str, Any]:
    return {
        "kind": accepted.trust_list.kind.value,
        "basis": accepted.basis.value,
        "signer": accepted.signer,
        "vouchers": sorted(accepted.trust_list.vouchers),
        "accepted": wall.astimezone(UTC).isoformat(timespec="seconds"),
        "notes": list(accepted.notes),
    }


def _vouchers(entry: Any) -> frozenset[str]:
    found = entry.get("vouchers") if isinstance(entry, dict) else None
    return frozenset(filter(fingerprint_in, map(str, found if isinstance(found, list) else ())))


def _accepted(held: TrustList, history: Mapping[str, Any]) -> AcceptedList:
    signer = fingerprint_of(verify_trust_list(held))
    entry: Any = history.get(held.fingerprint)
    try:
        basis = TrustBasis(entry["basis"])
        when = datetime.fromisoformat(entry["accepted"])
    except (TypeError, KeyError, ValueError):
        return AcceptedList(held, None, signer, None, notes_on(held))
    return AcceptedList(held, basis, signer, when, notes_on(held))
