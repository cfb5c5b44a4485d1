"""Health and figures of a running command: their options, checked, and their servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from softphone.cli.call.options import MonitoringOptions
from softphone.cli.console.output import CommandOutput
from softphone.config.toml_reader import read_text
from softphone.errors import ConfigurationError
from softphone.monitoring import HealthServer, MetricsServer, PageAccess, parse_place
from softphone.phone import Phone
from softphone.security import KeyMaterial
from softphone.trust import TlsCredential, check_credential


@dataclass(frozen=True, slots=True)
class MonitoringAccess:
    """Where health and figures are served; None for what was not asked for."""

    health: PageAccess | None = None
    metrics: PageAccess | None = None


def check_monitoring(options: MonitoringOptions) -> MonitoringAccess:
    """Check what was asked for.  Raises ConfigurationError."""
    return MonitoringAccess(_health(options), _metrics(options))


@asynccontextmanager
async def serve_monitoring(
    output: CommandOutput,
    phone: Phone,
    access: MonitoringAccess,
    more: Callable[[list[str]], None] | None = None,
) -> AsyncIterator[None]:
    """Serve the health check and the metrics, if the user asks for them; `more` appends metrics."""
    async with AsyncExitStack() as stack:
        if access.health is not None:
            health = HealthServer(phone, access.health.host, access.health.port)
            url = (await stack.enter_async_context(health)).url
            output.event("health", f"health at {url}live and {url}ready", url=url)
        if access.metrics is not None:
            metrics = MetricsServer(phone, access.metrics, more=more)
            url = (await stack.enter_async_context(metrics)).url
            output.event("metrics", f"figures for Prometheus at {url}", url=url)
        yield


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
