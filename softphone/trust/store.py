"""Who is believed: trust anchors and pins, in memory or on disk.

A store on disk is a folder (0700) with `anchors.pem` and `pins.json` (0600).  Writes are atomic: a
new file, synchronized, renamed over the old one.  Private keys are not kept here.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from softphone.errors import ConfigurationError
from softphone.trust.certificate import Service, der_of, load_certificate_file

__all__ = ["Pin", "TrustStore", "write_private"]

_ANCHORS = "anchors.pem"
_PINS = "pins.json"
_SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Pin:
    """One certificate (DER) accepted for one service at one host and port, whatever its names."""

    service: Service
    host: str
    port: int
    certificate: bytes

    @property
    def place(self) -> tuple[Service, str, int]:
        """Where it is accepted; hosts are compared without case or trailing dot."""
        return self.service, self.host.rstrip(".").lower(), self.port


def write_private(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace a file at one stroke: written aside, synchronized, renamed over the old one.

    Raises ConfigurationError when the folder cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(handle, "wb") as file:
                os.fchmod(handle, mode)
                file.write(data)
                file.flush()
                os.fsync(handle)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be written: {exc.strerror}") from exc


class TrustStore:
    """Trust anchors, the system's store when asked, and pins.

    `TrustStore.of("ca.crt")` is one in memory; `TrustStore.open(folder)` one on disk.  `revision`
    counts the changes, so that whoever made a context from the store knows when it is old.
    """

    def __init__(
        self,
        anchors: Iterable[x509.Certificate] = (),
        *,
        system: bool = False,
        pins: Iterable[Pin] = (),
    ) -> None:
        self._anchors: dict[bytes, x509.Certificate] = {der_of(each): each for each in anchors}
        self._pins: dict[tuple[Service, str, int], list[Pin]] = {}
        self._folder: Path | None = None
        self.system = system
        self.revision = 0
        for pin in pins:
            self._pins.setdefault(pin.place, []).append(pin)

    @classmethod
    def of(cls, *sources: str | Path) -> TrustStore:
        """Anchors from files or folders of PEM; the word "system" adds the system's store.

        Raises ConfigurationError when a source is missing or holds no certificate.
        """
        anchors: list[x509.Certificate] = []
        for source in sources:
            if source != _SYSTEM:
                anchors += _read_anchors(Path(source))
        return cls(anchors, system=_SYSTEM in sources)

    @classmethod
    def open(cls, path: str | Path) -> TrustStore:
        """The store kept in the folder `path`, made (0700) when it is missing.

        Raises ConfigurationError when it cannot be made, or what it holds cannot be read.
        """
        folder = Path(path)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise ConfigurationError(f"{folder} cannot be used: {exc.strerror}") from exc
        anchors_file, pins_file = folder / _ANCHORS, folder / _PINS
        anchors = load_certificate_file(anchors_file) if anchors_file.exists() else ()
        store = cls(anchors, pins=_read_pins(pins_file) if pins_file.exists() else ())
        store._folder = folder
        return store

    @property
    def anchors(self) -> tuple[x509.Certificate, ...]:
        """Our own trust anchors."""
        return tuple(self._anchors.values())

    def holds(self, certificate: bytes) -> bool:
        """Whether this very certificate (DER) is one of our own anchors."""
        return certificate in self._anchors

    def pins(self, service: Service, host: str, port: int) -> tuple[bytes, ...]:
        """The DER of the certificates accepted for that place."""
        place = (service, host.rstrip(".").lower(), port)
        return tuple(pin.certificate for pin in self._pins.get(place, ()))

    def add_anchor(self, certificate: x509.Certificate) -> None:
        """Believe this certificate as an anchor from now on (and on disk)."""
        self._anchors[der_of(certificate)] = certificate
        self.revision += 1
        if self._folder is not None:
            pem = b"".join(each.public_bytes(Encoding.PEM) for each in self.anchors)
            write_private(self._folder / _ANCHORS, pem)

    def add_pin(self, pin: Pin) -> None:
        """Accept this certificate for its place from now on (and on disk)."""
        pins = self._pins.setdefault(pin.place, [])
        if pin not in pins:
            pins.append(pin)
        self.revision += 1
        if self._folder is not None:
            write_private(self._folder / _PINS, _pins_json(self._pins.values()))


def _read_anchors(source: Path) -> list[x509.Certificate]:
    if not source.is_dir():
        return list(load_certificate_file(source))
    files = sorted(each for each in source.iterdir() if each.suffix in (".pem", ".crt", ".cer"))
    if not files:
        raise ConfigurationError(f"{source} holds no .pem, .crt or .cer file")
    return [certificate for file in files for certificate in load_certificate_file(file)]


def _pins_json(pins: Iterable[list[Pin]]) -> bytes:
    rows = [
        {
            "service": pin.service.value,
            "host": pin.host,
            "port": pin.port,
            "certificate": base64.b64encode(pin.certificate).decode("ascii"),
        }
        for group in pins
        for pin in group
    ]
    return json.dumps(rows, indent=1).encode()


def _read_pins(path: Path) -> list[Pin]:
    try:
        return [
            Pin(
                Service(row["service"]),
                str(row["host"]),
                int(row["port"]),
                base64.b64decode(row["certificate"], validate=True),
            )
            for row in json.loads(path.read_bytes())
        ]
    except (OSError, ValueError, KeyError, TypeError, binascii.Error) as exc:
        raise ConfigurationError(f"{path} is no list of pins: {exc}") from exc
