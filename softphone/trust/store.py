"""Trust anchors and pins, in memory, on disk or in the desktop's keyring.

A store on disk is a folder (0700) with `anchors.pem` and `pins.json` (0600).  Writes are atomic: a
new file, fsynced, renamed over the old one.  In a keyring both are one item.  Private keys are in
`softphone.trust.keystore`.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from softphone.errors import ConfigurationError
from softphone.operating_system import read_file
from softphone.trust.certificate import Pin, Service, der_of, load_certificate_file
from softphone.trust.disk import (
    check_file,
    check_folder,
    locked,
    make_folder,
    remove_leftovers,
    synchronize,
    write_private,
)
from softphone.trust.keyring_item import KeyringItem

_ANCHORS = "anchors.pem"
_PINS = "pins.json"
_LOCK = ".anchors.lock"
_SYSTEM = "system"
KEYRING = "keyring:"
"""Begins the name of a store in the desktop's keyring."""

_Stamp: TypeAlias = "tuple[int, int, int] | None"


class TrustStore:
    """Trust anchors, pins, and (`system`) the system's trust store.

    `TrustStore.from_sources("ca.crt")` makes one in memory, `TrustStore.open(folder)` one on disk,
    `TrustStore.open("keyring:NAME")` one in the desktop's keyring.
    `keep` is a store whose pins count here, too, and which receives new pins.  `revision` counts
    the changes, so that the owner of an SSLContext can tell when it is out of date.

    Several processes may share one folder.  A change takes a lock, reads the files again and
    rewrites them; `pins` reads them again when another process has changed them.  A keyring is read
    when it is opened and before each change.
    """

    def __init__(
        self,
        anchors: Iterable[x509.Certificate] = (),
        *,
        system: bool = False,
        pins: Iterable[Pin] = (),
        keep: TrustStore | None = None,
    ) -> None:
        self._anchors: dict[bytes, x509.Certificate] = {der_of(each): each for each in anchors}
        self._pins: dict[tuple[Service, str, int], list[Pin]] = _by_place(pins)
        self._keep = keep
        self._folder: Path | None = None
        self._item: KeyringItem | None = None
        self._seen: tuple[_Stamp, _Stamp] = (None, None)
        self._revision = 0
        self.system = system

    @classmethod
    def from_sources(
        cls, *sources: str | os.PathLike[str], keep: TrustStore | None = None
    ) -> TrustStore:
        """Load anchors from PEM or DER files, or folders of them; "system" adds the system's store.

        Raises ConfigurationError when a source is missing, holds no certificate, or can be written
        by everybody on this machine.
        """
        anchors: list[x509.Certificate] = []
        for source in sources:
            if source != _SYSTEM:
                anchors += _read_anchors(Path(source))
        return cls(anchors, system=_SYSTEM in sources, keep=keep)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, make: bool = True) -> TrustStore:
        """Open the store in the folder `path`; make the folder (0700) when it is missing.

        Without `make` the first change makes the folder.  "keyring:NAME" is the item of that name
        in the desktop's keyring, which may ask its user; it needs the keyring package.  Raises
        ConfigurationError when the folder cannot be made, its files cannot be read, or others can
        write in it, and when there is no keyring that can be used.
        """
        store, place = cls(), os.fspath(path)
        if place.startswith(KEYRING):
            store._item = KeyringItem(place.removeprefix(KEYRING))
        else:
            store._folder = Path(place)
            if make:
                make_folder(store._folder)
        store._read()
        return store

    @property
    def revision(self) -> int:
        """The number of changes of this store and of `keep`.

        :meta private:
        """
        return self._revision + (self._keep.revision if self._keep is not None else 0)

    @property
    def anchors(self) -> tuple[x509.Certificate, ...]:
        """Our own trust anchors."""
        return tuple(self._anchors.values())

    @property
    def all_pins(self) -> tuple[Pin, ...]:
        """Every pin of this store, without those of `keep`."""
        return tuple(pin for group in self._pins.values() for pin in group)

    def holds(self, certificate: bytes) -> bool:
        """Whether this certificate (DER) is one of our own anchors, byte for byte.

        :meta private:
        """
        return certificate in self._anchors

    def pins(self, service: Service, host: str, port: int) -> tuple[bytes, ...]:
        """The certificates (DER) pinned for a service, host and port, here and in `keep`.

        Raises ConfigurationError when the store has changed on disk and cannot be read.

        :meta private:
        """
        self._refresh()
        place = (service, host.rstrip(".").lower(), port)
        own = tuple(pin.certificate for pin in self._pins.get(place, ()))
        kept = self._keep.pins(service, host, port) if self._keep is not None else ()
        return own + kept

    def add_anchor(self, certificate: x509.Certificate) -> None:
        """Add a trust anchor, and write the anchors of a store on disk.

        Raises ConfigurationError when the store cannot be written.
        """
        with self._changing() as folder:
            self._anchors[der_of(certificate)] = certificate
            if folder is not None:
                pem = b"".join(each.public_bytes(Encoding.PEM) for each in self.anchors)
                write_private(folder / _ANCHORS, pem)

    def add_pin(self, pin: Pin) -> None:
        """Add a pin, to `keep` if there is one, and write the pins of a store on disk.

        Raises ConfigurationError when the store cannot be written.
        """
        if self._keep is not None:
            self._keep.add_pin(pin)
            return
        with self._changing() as folder:
            pins = self._pins.setdefault(pin.place, [])
            if pin not in pins:
                pins.append(pin)
            if folder is not None:
                write_private(folder / _PINS, _pins_json(self._pins.values()))

    def remove_pin(self, pin: Pin) -> None:
        """Take a pin away, also from `keep`: the certificate is unknown again.

        A pin that is not there is no error.  Raises ConfigurationError when a store cannot be
        written.
        """
        if self._keep is not None:
            self._keep.remove_pin(pin)
        self._refresh()
        if pin not in self._pins.get(pin.place, ()):
            return
        with self._changing() as folder:
            left = [each for each in self._pins.pop(pin.place, ()) if each != pin]
            if left:
                self._pins[pin.place] = left
            if folder is not None:
                write_private(folder / _PINS, _pins_json(self._pins.values()))

    @contextmanager
    def _changing(self) -> Iterator[Path | None]:
        """Hold the lock, read the files, run the change; read them again if the change fails.

        Yields the folder, None for a store in memory.
        """
        if self._folder is None:
            with self._changing_item():
                yield None
            self._revision += 1
            return
        make_folder(self._folder)
        with locked(self._folder / _LOCK):
            for name in (_ANCHORS, _PINS):
                remove_leftovers(self._folder, name)
            self._read()
            try:
                yield self._folder
                synchronize(self._folder)
            except BaseException:
                self._read()
                raise
            self._seen = self._stamps(self._folder)
            self._revision += 1

    @contextmanager
    def _changing_item(self) -> Iterator[None]:
        """Read the item, run the change and write the item; undo the change if that fails."""
        self._read()
        before = self._anchors.copy(), {place: [*pins] for place, pins in self._pins.items()}
        try:
            yield
            if self._item is not None:
                pem = b"".join(each.public_bytes(Encoding.PEM) for each in self.anchors).decode()
                pins = _pin_rows(self._pins.values())
                self._item.write(json.dumps({"anchors": pem, "pins": pins}))
        except BaseException:
            self._anchors, self._pins = before
            raise

    def _read_item(self, item: KeyringItem) -> None:
        text = item.read()
        if text is None:
            return
        try:
            values = json.loads(text)
            pem = values["anchors"].encode("ascii")
            anchors = x509.load_pem_x509_certificates(pem) if pem else []
            pins = _pins_of(values["pins"])
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ConfigurationError(f"the item of the keyring is no store: {exc}") from exc
        self._anchors = {der_of(each): each for each in anchors}
        self._pins = _by_place(pins)
        self._revision += 1

    def _refresh(self) -> None:
        if self._folder is not None and self._stamps(self._folder) != self._seen:
            self._read()

    def _read(self) -> None:
        """Load anchors and pins from disk or keyring; a store in memory is left as it is."""
        if self._item is not None:
            self._read_item(self._item)
        if self._folder is None:
            return
        check_folder(self._folder)
        stamps = self._stamps(self._folder)
        anchors_file, pins_file = self._folder / _ANCHORS, self._folder / _PINS
        check_file(anchors_file)
        check_file(pins_file)
        anchors = load_certificate_file(anchors_file) if anchors_file.exists() else ()
        pins = _read_pins(pins_file) if pins_file.exists() else []
        self._anchors = {der_of(each): each for each in anchors}
        self._pins = _by_place(pins)
        self._seen = stamps
        self._revision += 1

    @staticmethod
    def _stamps(folder: Path) -> tuple[_Stamp, _Stamp]:
        return _stamp(folder / _ANCHORS), _stamp(folder / _PINS)


def _stamp(path: Path) -> _Stamp:
    """Inode, modification time and size, which tell a replaced file; None for a missing one."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _by_place(pins: Iterable[Pin]) -> dict[tuple[Service, str, int], list[Pin]]:
    places: dict[tuple[Service, str, int], list[Pin]] = {}
    for pin in pins:
        places.setdefault(pin.place, []).append(pin)
    return places


def _read_anchors(source: Path) -> list[x509.Certificate]:
    check_file(source, group=True)
    if not source.is_dir():
        return list(load_certificate_file(source))
    files = sorted(each for each in source.iterdir() if each.suffix in (".pem", ".crt", ".cer"))
    if not files:
        raise ConfigurationError(f"{source} holds no .pem, .crt or .cer file")
    for file in files:
        check_file(file, group=True)
    return [certificate for file in files for certificate in load_certificate_file(file)]


def _pins_json(pins: Iterable[list[Pin]]) -> bytes:
    return json.dumps(_pin_rows(pins), indent=1).encode()


def _pin_rows(pins: Iterable[list[Pin]]) -> list[dict[str, str | int]]:
    return [
        {
            "service": pin.service.value,
            "host": pin.host,
            "port": pin.port,
            "certificate": base64.b64encode(pin.certificate).decode("ascii"),
        }
        for group in pins
        for pin in group
    ]


def _pins_of(rows: Iterable[Mapping[str, Any]]) -> list[Pin]:
    return [
        Pin(
            Service(row["service"]),
            str(row["host"]),
            int(row["port"]),
            base64.b64decode(row["certificate"], validate=True),
        )
        for row in rows
    ]


def _read_pins(path: Path) -> list[Pin]:
    try:
        return _pins_of(json.loads(read_file(path)))
    except (OSError, ValueError, KeyError, TypeError, binascii.Error) as exc:
        raise ConfigurationError(f"{path} is no list of pins: {exc}") from exc
