"""`softphone load --tls-key-log`: the plan of a run whose TLS keys are logged."""

from __future__ import annotations

from dataclasses import replace

from softphone.cli.console.key_log import CLEAR, start_key_log
from softphone.cli.console.output import CommandOutput
from softphone.cli.load.options import LoadOptions
from softphone.cli.load.plan import plan_of
from softphone.errors import ConfigurationError
from softphone.load.plan import LoadPlan, base_account


def keyed_plan(output: CommandOutput, options: LoadOptions) -> LoadPlan:
    """Return the plan of the options, with the file of keys if one is asked for.

    Raises ConfigurationError, also for a file that workers on other machines would write, and for
    a run without TLS; in FIPS mode FipsForbidden.
    """
    plan = plan_of(options)
    if options.tls_key_log is None:
        return plan
    if options.ray is not None:
        raise ConfigurationError(
            "--tls-key-log: workers of --ray would leave keys on other machines; run without it"
        )
    if not _has_tls(plan):
        raise ConfigurationError("--tls-key-log: the run has no TLS, and no keys to log")
    return replace(plan, tls_key_log=str(start_key_log(output, options.tls_key_log)))


def _has_tls(plan: LoadPlan) -> bool:
    """Whether a connection may be one of TLS; a name may leave the transport to DNS."""
    if plan.workload is not None and plan.workload.kind == "messages":
        return True
    if plan.sipp is not None and plan.sipp.listen is not None:
        return plan.sipp.listen.lower().startswith("tls:")
    return base_account(plan).transport not in CLEAR
