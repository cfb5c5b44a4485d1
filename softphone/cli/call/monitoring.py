"""Health and figures of a running command: their options, checked, and their servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

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
    output: CommandOutput, phone: Phone, access: MonitoringAccess
) -> AsyncIterator[None]:
    """Serve the health check and the metrics, if the user asks for them."""
    async with AsyncExitStack() as stack:
        if access.health is not None:
            health = HealthServer(phone, access.health.host, access.health.port)
            url = (await stack.enter_async_context(health)).url
            output.event("health", f"health at {url}live and {url}ready", url=url)
        if access.metrics is not None:
            metrics = MetricsServer(phone, access.metrics)
            url = (await stack.enter_async_context(metrics)).url
            output.event("metrics", f"figures for Prometheus at {url}", url=url)
        yield


def _health(options: MonitoringOptions) -> PageAccess | None:
    if options.health is None:
        return None
    return PageAccess(*parse_place(options.health, what="--health"), loopback_only=False)


def _metrics(options: MonitoringOptions) -> PageAccess | None:
    certificate, key = options.metrics_certificate, options.metrics_key
    if options.metrics is None:
        if certificate or key or options.metrics_token:
            raise ConfigurationError("--metrics-… goes with --metrics ADDRESS:PORT")
        return None
    host, port = parse_place(options.metrics, what="--metrics")
    if certificate is None and key is None:
        credential = None
    elif certificate is None or key is None:
        raise ConfigurationError("--metrics-certificate and --metrics-key go together")
    else:
        credential = TlsCredential(certificate, key)
        check_credential(credential)
    token = None
    if options.metrics_token is not None:
        token = KeyMaterial(read_text(options.metrics_token, "token file").strip().encode())
    try:
        return PageAccess(host, port, credential, token)
    except ConfigurationError as error:
        raise ConfigurationError(f"--metrics {options.metrics}: {error}") from error
