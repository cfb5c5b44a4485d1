"""Where a run's metrics and spans go: an OpenTelemetry collector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Self

from softphone._version import __version__
from softphone.config.toml_reader import read_text
from softphone.errors import ConfigurationError
from softphone.monitoring.otlp import OtlpConfig
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsSettings, TrustStore


@dataclass(frozen=True, slots=True)
class OtelSpec:
    """The collector at `url`; `ca` are files, or `system`, as when it is empty.

    `token_file` holds a bearer token.  `run` is a random name, which joins what the processes of a
    run send.
    """

    url: str
    run: str
    ca: tuple[str, ...] = ()
    token_file: str | None = None

    def config(self) -> OtlpConfig:
        """Read the files.  Raises ConfigurationError, also for an address that is not used."""
        token = None
        if self.token_file is not None:
            text = read_text(Path(self.token_file), "token file").strip()
            if not text:
                # It is read by each process: a pipe, as of `<(command)`, gives its text once.
                raise ConfigurationError(f"{self.token_file}: there is no token in this file")
            token = KeyMaterial(text.encode())
        store = TrustStore.from_sources(*(self.ca or ("system",)))
        return OtlpConfig(self.url, TlsSettings(store=store, service=Service.HTTPS), token)

    def resource(self, scenario: str, worker: int | None = None) -> dict[str, str | int]:
        """The attributes of what sends: a run, or its worker `worker`; they name no user."""
        found: dict[str, str | int] = {
            "service.name": "softphone-load",
            "service.version": __version__,
            "service.instance.id": self.run if worker is None else f"{self.run}-{worker + 1}",
            "softphone_load.run": self.run,
            "softphone_load.scenario": PurePath(scenario).name,
        }
        if worker is not None:
            found["softphone_load.worker"] = worker + 1
        return found

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Read what `asdict` gave, from JSON."""
        return cls(**{**plain, "ca": tuple(plain["ca"])})
