"""Health, figures and a copy of the signaling of a running command: their options, checked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from softphone.cli.call.options import MonitoringOptions
from softphone.cli.console.output import CommandOutput
from softphone.config.toml_reader import read_text
from softphone.contacts.config import parse_host_port
from softphone.diagnostics.hep import DEFAULT_PORT, HepSender
from softphone.errors import ConfigurationError
from softphone.monitoring import HealthServer, MetricsServer, PageAccess, parse_place
from softphone.phone import Phone
from softphone.security import KeyMaterial
from softphone.trust import TlsCredential, check_credential


@dataclass(frozen=True, slots=True)
class MonitoringAccess:
    """Where health and figures are served, and SIP goes to; None for what was not asked for."""

    health: PageAccess | None = None
    metrics: PageAccess | None = None
    hep: HepSender | None = None


def check_monitoring(options: MonitoringOptions) -> MonitoringAccess:
    """Check what was asked for.  Raises ConfigurationError."""
    return MonitoringAccess(_health(options), _metrics(options), open_hep(options.hep))


@asynccontextmanager
async def serve_monitoring(
    output: CommandOutput,
    phone: Phone,
    access: MonitoringAccess,
    more: Callable[[list[str]], None] | None = None,
) -> AsyncIterator[None]:
    """Serve the health check and the metrics, if the user asks for them; `more` appends metrics.

    Closes the sender of the signaling, which the phone has as a tap, at the end.
    """
    async with AsyncExitStack() as stack:
        if access.hep is not None:
            stack.enter_context(access.hep)
            host, port = access.hep.collector
            output.event("hep", f"SIP goes to Homer at {host}:{port}", host=host, port=port)
        if access.health is not None:
            health = HealthServer(phone, access.health.host, access.health.port)
            url = (await stack.enter_async_context(health)).url
            output.event("health", f"health at {url}live and {url}ready", url=url)
        if access.metrics is not None:
            metrics = MetricsServer(phone, access.metrics, more=more)
            url = (await stack.enter_async_context(metrics)).url
            output.event("metrics", f"figures for Prometheus at {url}", url=url)
        yield


def open_hep(place: str | None) -> HepSender | None:
    """Make the sender to the collector that `--hep` names.  Raises ConfigurationError."""
    return None if place is None else HepSender(*parse_collector(place))


def parse_collector(place: str) -> tuple[str, int]:
    """Read the host and the port of `--hep`.  Raises ConfigurationError."""
    try:
        return parse_host_port(place, DEFAULT_PORT)
    except ConfigurationError as error:
        raise ConfigurationError(f"--hep: {error}") from error


def _health(options: MonitoringOptions) -> PageAccess | None:
    if options.health is None:
        return None
    return PageAccess(*parse_place(options.health, what="--health"), loopback_only=False)


def _metrics(options: MonitoringOptions) -> PageAccess | None:
    access = GuardedAccess(
        options.metrics, options.metrics_certificate, options.metrics_key, options.metrics_token
    )
    return access.checked("--metrics")


@dataclass(frozen=True, slots=True)
class GuardedAccess:
    """The options of a server that is on loopback, or elsewhere over TLS and with a token."""

    place: str | None
    certificate: Path | None
    key: Path | None
    token: Path | None

    def checked(self, name: str) -> PageAccess | None:
        """Return the access; `name` is the option of the place.  Raises ConfigurationError."""
        certificate, key = self.certificate, self.key
        if self.place is None:
            if certificate or key or self.token:
                raise ConfigurationError(f"{name}-… goes with {name} ADDRESS:PORT")
            return None
        host, port = parse_place(self.place, what=name)
        if certificate is None and key is None:
            credential = None
        elif certificate is None or key is None:
            raise ConfigurationError(f"{name}-certificate and {name}-key go together")
        else:
            credential = TlsCredential(certificate, key)
            check_credential(credential)
        token = None
        if self.token is not None:
            token = KeyMaterial(read_text(self.token, "token file").strip().encode())
        try:
            return PageAccess(host, port, credential, token)
        except ConfigurationError as error:
            raise ConfigurationError(f"{name} {self.place}: {error}") from error
