"""The commands of `softphone load`: their options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from softphone.cli.console.options import (
    CommandOptions,
    HepOption,
    JsonOption,
    KeyLogOption,
    option,
    option_dataclass,
)

EXIT_CODES = (
    "Exit codes: 0 valid and as expected, 1 a verdict was not met, 2 wrong usage and nothing sent, "
    "3 the server is not who it should be, 4 the run was invalid and says nothing of the server "
    "(but 1 where a call had another suite than expected, or no call at all was as expected), "
    "130 interrupted."
)


INVALID = 4
"""The exit code of an invalid run: its figures are limited by the generator, not by the target."""

FAIL_ON = option(
    "--fail-on",
    "regression (any figure clearly worse), setup_p99>10%, setup_p95>20ms, answered>0.5pp, "
    "mos_p5>0.1: worse by more; repeatable.",
    "RULE",
)


@option_dataclass
class LoadOptions(CommandOptions):
    """Run a load: a number of calls, at a rate, for a duration."""

    carried_out_by = "softphone.cli.load.load:run_load"
    pins = True
    examples: ClassVar[tuple[str, ...]] = (
        "softphone load run --account lab/alice.toml --target 600 --calls 5 --duration 5",
        "softphone load run --account lab/alice.toml --target 600 --expect 'answered>=99.9%'",
    )
    epilog = EXIT_CODES

    target: Annotated[
        str | None, option("--target", "Whom to call: a SIP URI, or a user.", "URI")
    ] = None
    scenario: Annotated[
        str,
        option(
            "--scenario",
            "echo, pair, register-storm, reinvite, churn, or FILE.py:NAME; without calls "
            "registered-users, subscriptions, messages or handshakes.",
            "NAME",
        ),
    ] = "echo"
    sipp: Annotated[
        Path | None,
        option(
            "--sipp",
            "Run this SIPp scenario as it is, instead of --scenario; or one in Python (.py).",
            "XML",
        ),
    ] = None
    inf: Annotated[
        list[Path] | None,
        option("--inf", "SIPp: fields of each call, [field0] and on; repeatable.", "CSV"),
    ] = None
    inf_index: Annotated[
        list[str] | None,
        option("--inf-index", "SIPp: find lines of a file of --inf by a field.", "FILE:NUMBER"),
    ] = None
    sipp_key: Annotated[
        list[str] | None,
        option("--sipp-key", "SIPp: the value of a keyword [NAME]; repeatable.", "NAME=VALUE"),
    ] = None
    total_calls: Annotated[
        int | None,
        option("--total-calls", "SIPp: end after so many calls, not by --duration.", None, "-m"),
    ] = None
    pause: Annotated[
        str | None,
        option(
            "--pause",
            "SIPp: the length of a <pause> without one; milliseconds, or 5s, 1m.",
            "TIME",
            "-d",
        ),
    ] = None
    rate_period: Annotated[
        str | None,
        option(
            "--rate-period",
            "SIPp: --rate counts calls in this time, not in a second; milliseconds, or 5s, 1m.",
            "TIME",
            "-rp",
        ),
    ] = None
    listen: Annotated[
        str | None,
        option(
            "--listen", "SIPp: where calls are waited for, or sent from.", "TRANSPORT:HOST:PORT"
        ),
    ] = None
    share_connection: Annotated[
        int | None,
        option(
            "--share-connection",
            "registered-users, subscriptions: users on one connection, 0 for all; else 1.",
            "USERS",
        ),
    ] = None
    expires: Annotated[
        int | None,
        option("--expires", "registered-users, subscriptions: the lifetime to ask for.", "SECONDS"),
    ] = None
    event: Annotated[
        str | None,
        option("--event", "subscriptions: the event package; else message-summary.", "PACKAGE"),
    ] = None
    message_size: Annotated[
        int | None, option("--message-size", "messages: octets of each; else 64.")
    ] = None
    resumed: Annotated[
        float | None,
        option("--resumed", "handshakes: how many resume a session; else 50.", "PERCENT"),
    ] = None
    allow_exec: Annotated[
        bool, option("--allow-exec", "SIPp: let the scenario run commands and read files here.")
    ] = False
    twin: Annotated[
        str | None,
        option("--twin", "SIPp: the run that controls the other calls (3PCC).", "HOST:PORT"),
    ] = None
    rtp_echo: Annotated[
        bool, option("--rtp-echo", "SIPp: send back the media that calls hear.")
    ] = False
    calls: Annotated[int, option("--calls", "Calls that are up at once, at most.", None, "-l")] = 10
    rate: Annotated[float, option("--rate", "Calls that begin in a second.", None, "-r")] = 10.0
    duration: Annotated[
        float, option("--duration", "Time after all calls have begun.", "SECONDS")
    ] = 10.0
    arrival: Annotated[
        str,
        option(
            "--arrival",
            "constant, poisson, ramp:FROM-TO:S, step:RATE:S,RATE:S,... or trace:FILE.",
            "KIND",
        ),
    ] = "constant"
    hold: Annotated[
        str | None,
        option(
            "--hold",
            "How long calls last: run, SECONDS, uniform:A-B, exponential:MEAN, "
            "lognormal:MEDIAN:SIGMA; new ones take the place of those that end.",
            "KIND",
        ),
    ] = None
    seed: Annotated[int, option("--seed", "Of arrivals, holds and faults.")] = 1
    account: Annotated[
        Path | None, option("--account", "An account file that all users start from.", "FILE")
    ] = None
    registrar: Annotated[
        str | None, option("--registrar", "The server: sips:HOST, sip:HOST;transport=....", "URI")
    ] = None
    register: Annotated[
        bool, option("--register/--no-register", "Register users, or only call.")
    ] = True
    ca: Annotated[
        list[str] | None, option("--ca", "The authorities to trust, or `system`.", "FILE")
    ] = None
    pin: Annotated[
        str | None, option("--pin", "The SHA-256 of the server's certificate.", "SHA256")
    ] = None
    server_name: Annotated[
        str | None, option("--server-name", "The name in the server's certificate.")
    ] = None
    aor: Annotated[str | None, option("--aor", "The one user.", "URI")] = None
    users: Annotated[
        Path | None,
        option(
            "--users",
            "CSV or TOML: aor, username, password_file, certificate, key, algorithms, realms.",
            "FILE",
        ),
    ] = None
    user_template: Annotated[
        str | None, option("--user-template", "Users by number: 'load{n:05}'.", "TEXT")
    ] = None
    user_count: Annotated[
        int | None,
        option(
            "--user-count",
            "Users of the template; else one for each of --calls, or two (pair: a caller and a "
            "callee).  Fewer take turns; pair wants an even number.",
        ),
    ] = None
    username: Annotated[
        str | None, option("--username", "For digest; may have {n} and {user}.")
    ] = None
    password_file: Annotated[
        str | None, option("--password-file", "May have {n} and {user}.", "FILE")
    ] = None
    certificate: Annotated[
        str | None, option("--certificate", "May have {n} and {user}.", "FILE")
    ] = None
    key: Annotated[str | None, option("--key", "Its key, likewise.", "FILE")] = None
    algorithms: Annotated[
        str | None, option("--algorithms", "Digest algorithms to answer: 'SHA-256;MD5'.", "LIST")
    ] = None
    realms: Annotated[
        str | None, option("--realms", "Realms to answer in, set apart by ';'.", "LIST")
    ] = None
    register_rate: Annotated[
        float, option("--register-rate", "Registrations in a second, before calls begin.")
    ] = 50.0
    srtp: Annotated[str | None, option("--srtp", "required, optional or off.", "MODE")] = None
    suite: Annotated[
        list[str] | None, option("--suite", "Offer only this; repeatable.", "NAME")
    ] = None
    codec: Annotated[
        list[str] | None, option("--codec", "Offer only this; repeatable.", "NAME")
    ] = None
    sockets: Annotated[
        str, option("--sockets", "per-call, or shared by up to 200 calls.", "HOW")
    ] = "per-call"
    media: Annotated[
        str,
        option(
            "--media",
            "inline, beside the signaling, or in a worker process on another core.",
            "WHERE",
        ),
    ] = "inline"
    ports: Annotated[str, option("--ports", "Media ports, two a call.", "FIRST-LAST")] = (
        "40000-49999"
    )
    host: Annotated[
        str | None,
        option(
            "--host",
            "Our own address, of signaling and media; with {n}, the worker's number; or `node`, "
            "that of each Ray node.  Else the one that leads to the server.",
            "ADDRESS",
        ),
    ] = None
    play: Annotated[
        Path | None, option("--play", "Say this, over and over; else a tone.", "WAV")
    ] = None
    checks: Annotated[
        int, option("--checks", "Calls that are listened to at once: is it what was said?")
    ] = 8
    answer_timeout: Annotated[
        float, option("--answer-timeout", "Wait this long for an answer.", "SECONDS")
    ] = 32.0
    tolerate_late: Annotated[
        float,
        option(
            "--tolerate-late",
            "Packets of ours that may leave more than 20 ms late before the run is invalid.",
            "PERCENT",
        ),
    ] = 1.0
    fault: Annotated[
        list[str] | None,
        option(
            "--fault",
            "loss=1%, delay=50ms, cut=10s, outage=60s, wrong-password=5%, certificate=1%:FILE:KEY.",
            "WHAT",
        ),
    ] = None
    workers: Annotated[
        int, option("--workers", "Processes on this machine; more than its cores gain nothing.")
    ] = 1
    ray: Annotated[
        str | None, option("--ray", "Put the workers on this Ray cluster; or auto.", "ADDRESS")
    ] = None
    expect: Annotated[
        list[str] | None,
        option(
            "--expect",
            "'answered>=99.9%', 'mos_p5>=4.0', 'setup_p99<=500ms', suite=NAME, ...; repeatable; "
            "in quotes, since a shell takes > and < for files.",
            "VERDICT",
        ),
    ] = None
    report: Annotated[Path | None, option("--report", "Write a report with plots.", "HTML")] = None
    junit: Annotated[
        Path | None, option("--junit", "Write the verdicts as JUnit XML, for CI.", "FILE")
    ] = None
    annotations: Annotated[
        str | None,
        option(
            "--annotations",
            "Verdicts not met in a review: github, gitlab, or auto, where we run.",
            "WHERE",
        ),
    ] = None
    baseline: Annotated[
        Path | None,
        option(
            "--baseline", "An earlier run's --json, or a folder of them: judge changes.", "FILE"
        ),
    ] = None
    fail_on: Annotated[list[str] | None, FAIL_ON] = None
    series: Annotated[
        Path | None, option("--series", "Write a row a second as CSV, as it comes.", "FILE")
    ] = None
    prometheus: Annotated[
        int | None, option("--prometheus", "Serve figures on loopback.", "PORT")
    ] = None
    ui: Annotated[
        str | None,
        option(
            "--ui",
            "Serve a live page of the run, which can stop it and change its load; a PORT alone is "
            "on loopback.",
            "[ADDRESS:]PORT",
        ),
    ] = None
    ui_code: Annotated[
        Path | None,
        option("--ui-code", "Write the address that signs one browser in to this file.", "FILE"),
    ] = None
    ui_token: Annotated[
        Path | None,
        option("--ui-token", "Let browsers sign in by the token in this file instead.", "FILE"),
    ] = None
    ui_certificate: Annotated[
        Path | None,
        option("--ui-certificate", "Serve the page over TLS, with this certificate.", "PEM"),
    ] = None
    ui_key: Annotated[Path | None, option("--ui-key", "The key of that certificate.", "PEM")] = None
    hep: HepOption = None
    tls_key_log: KeyLogOption = None
    otel: Annotated[
        str | None,
        option(
            "--otel",
            "Send metrics, and a span of each call, to this OpenTelemetry collector (OTLP over "
            "HTTP): https, or http to a loopback address such as http://127.0.0.1:4318.",
            "URL",
        ),
    ] = None
    otel_ca: Annotated[
        list[str] | None,
        option("--otel-ca", "The collector's authority; else the system's.", "FILE"),
    ] = None
    otel_token: Annotated[
        Path | None, option("--otel-token", "The collector's bearer token.", "FILE")
    ] = None
    json: Annotated[
        bool, option("--json", "One JSON object a second; the last is the summary.")
    ] = False

    def blank_summary(self) -> Mapping[str, Any]:
        """The fields of a load run's summary, without values."""
        from softphone.load import BLANK_LOAD_SUMMARY

        return BLANK_LOAD_SUMMARY


@option_dataclass
class CapacityOptions(LoadOptions):
    """Find the most calls that a target holds within the verdicts."""

    carried_out_by = "softphone.cli.load.load:run_capacity_search"
    examples = (
        "softphone load find-capacity --account lab/alice.toml --target 600 --most 50"
        " --expect 'mos_p5>=4.0'",
    )

    calls: Annotated[
        int, option("--calls", "Calls of the first trial; twice as many after each that holds.")
    ] = 10
    most: Annotated[
        int,
        option("--most", "Calls that no trial exceeds: what holds them all is told as `at least`."),
    ] = 10_000
    precision: Annotated[
        float, option("--precision", "Stop bisecting within this share.", "SHARE")
    ] = 0.05
    confirm: Annotated[
        int, option("--confirm", "Times that the capacity must hold before it counts.")
    ] = 3
    repeat: Annotated[
        int,
        option("--repeat", "Trials about the capacity after that, for its interval: 20, say."),
    ] = 0

    def blank_summary(self) -> Mapping[str, Any]:
        """The fields of a load run's summary, and those of a search that has tried nothing."""
        from softphone.load.capacity import CapacitySearch

        return {**super().blank_summary(), "capacity": CapacitySearch(1, 1).summary()}


@option_dataclass
class CalibrateOptions(CommandOptions):
    """Measure how many calls this machine holds by itself, for later runs to be judged by.

    Calls a light far end on loopback, which has a processor of its own; leave the machine alone
    meanwhile.
    """

    carried_out_by = "softphone.cli.load.calibrate:run_calibration"
    examples: ClassVar[tuple[str, ...]] = (
        "softphone load calibrate --calls 5 --most 10 --duration 1 --rate 20",
        "softphone load calibrate --sockets shared --media worker",
    )
    epilog = (
        "Exit codes: 0 found, confirmed and kept, 1 not even --calls were held, 2 wrong usage, "
        "130 interrupted."
    )

    calls: Annotated[
        int, option("--calls", "Calls of the first trial; twice as many after each that holds.")
    ] = 50
    most: Annotated[int, option("--most", "Calls that no trial exceeds.")] = 10_000
    rate: Annotated[float, option("--rate", "Calls that begin in a second.")] = 50.0
    duration: Annotated[
        float, option("--duration", "Time after all calls have begun.", "SECONDS")
    ] = 10.0
    precision: Annotated[
        float, option("--precision", "Stop bisecting within this share.", "SHARE")
    ] = 0.1
    confirm: Annotated[
        int, option("--confirm", "Times that the number must hold before it counts.")
    ] = 2
    sockets: Annotated[
        str, option("--sockets", "per-call, or shared by up to 200 calls.", "HOW")
    ] = "per-call"
    media: Annotated[str, option("--media", "inline, or in a worker process.", "WHERE")] = "inline"
    ports: Annotated[str, option("--ports", "Media ports, two a call.", "FIRST-LAST")] = (
        "30000-49999"
    )
    srtp: Annotated[str | None, option("--srtp", "required, optional or off.", "MODE")] = None
    suite: Annotated[
        list[str] | None, option("--suite", "Offer only this; repeatable.", "NAME")
    ] = None
    codec: Annotated[
        list[str] | None, option("--codec", "Offer only this; repeatable.", "NAME")
    ] = None
    workers: Annotated[int, option("--workers", "Processes on this machine.")] = 1
    json: JsonOption = False

    def blank_summary(self) -> Mapping[str, Any]:
        """The fields of a search that has tried nothing."""
        from softphone.load.capacity import CapacitySearch

        return {"capacity": CapacitySearch(1, 1).summary()}


@option_dataclass
class ConformanceOptions(CommandOptions):
    """Send torture messages and corner cases to a server, and judge its answers by the RFCs.

    One at a time, a few a second, to a server that you are allowed to test; an OPTIONS after each
    shows that it still answers.
    """

    carried_out_by = "softphone.cli.load.conformance:run_conformance"
    pins = True
    examples = (
        "softphone load conformance --account lab/alice.toml --target 600 --fail-on fail",
        "softphone load conformance --target 'sip:100@127.0.0.1;transport=tcp' --only 'corner-*'",
        "softphone load conformance --list",
    )
    epilog = (
        "Exit codes: 0 sent and judged, 1 --fail-on is broken or the server answers no more, "
        "2 wrong usage and nothing sent, 3 the server is not who it should be, "
        "4 --fail-on, and nothing could be judged, 130 interrupted."
    )

    target: Annotated[
        str | None, option("--target", "The SIP URI, or user, to send to.", "URI")
    ] = None
    account: Annotated[
        Path | None, option("--account", "An account file: server, trust, password.", "FILE")
    ] = None
    aor: Annotated[
        str | None, option("--aor", "The address (AOR) to send from, without --account.", "URI")
    ] = None
    ca: Annotated[
        list[str] | None, option("--ca", "The authority to trust, or `system`.", "FILE")
    ] = None
    pin: Annotated[
        str | None, option("--pin", "The SHA-256 of the server's certificate.", "SHA256")
    ] = None
    server_name: Annotated[
        str | None, option("--server-name", "The name in the server's certificate.")
    ] = None
    host: Annotated[str | None, option("--host", "The local address to send from.", "ADDRESS")] = (
        None
    )
    only: Annotated[
        list[str] | None,
        option("--only", "Only cases whose names match, as 'rfc4475-*'; repeatable.", "NAME"),
    ] = None
    list_cases: Annotated[bool, option("--list", "Print the cases, and send nothing.")] = False
    rate: Annotated[float, option("--rate", "Messages a second, 10 at most.")] = 4.0
    answer_timeout: Annotated[
        float, option("--answer-timeout", "How long to wait for an answer.", "SECONDS")
    ] = 4.0
    call: Annotated[
        str | None,
        option("--call", "Keep a call to this echo up meanwhile; needs --account.", "URI"),
    ] = None
    fail_on: Annotated[
        str | None, option("--fail-on", "Exit with 1 for: fail, or deviates (and fail).", "VERDICT")
    ] = None
    report: Annotated[Path | None, option("--report", "Write the cases as a page.", "HTML")] = None
    junit: Annotated[
        Path | None, option("--junit", "Write the cases as JUnit XML, for CI.", "FILE")
    ] = None
    annotations: Annotated[
        str | None,
        option("--annotations", "Cases that fail, in a review: github, gitlab, or auto.", "WHERE"),
    ] = None
    json: JsonOption = False

    def blank_summary(self) -> Mapping[str, Any]:
        """The fields of a conformance run's summary, without values."""
        from softphone.load.conformance import BLANK_CONFORMANCE_SUMMARY

        return BLANK_CONFORMANCE_SUMMARY


@option_dataclass
class CompareOptions(CommandOptions):
    """Compare runs with an earlier one: what changed, and whether noise explains it."""

    carried_out_by = "softphone.cli.load.compare:compare_files"
    examples = ("softphone load compare before.jsonl after.jsonl --fail-on regression",)
    epilog = EXIT_CODES

    files: Annotated[
        list[Path],
        typer.Argument(
            help="What `load run --json` printed, or folders of several runs; the first is earlier."
        ),
    ]
    fail_on: Annotated[list[str] | None, FAIL_ON] = None
    report: Annotated[Path | None, option("--report", "Write a comparison with plots.", "HTML")] = (
        None
    )
    json: JsonOption = False

    def blank_summary(self) -> Mapping[str, Any]:
        """The fields of a comparison, without values."""
        return {"base": None, "comparisons": []}


@option_dataclass
class ImportOptions(CommandOptions):
    """Write a SIPp scenario as Python, which does the same and can be changed by code.

    `softphone load run --sipp FILE.py` runs it.
    """

    carried_out_by = "softphone.cli.load.import_scenario:import_scenario"
    examples = ("softphone load import uac.xml", "softphone load import uac.xml --output calls.py")
    epilog = (
        "Exit codes: 0 written, 1 the file cannot be written, 2 the scenario has what is not "
        "supported, each named with its line, or the file is there already."
    )

    scenario: Annotated[Path, typer.Argument(help="The SIPp scenario.", metavar="XML")]
    output: Annotated[
        Path | None,
        option("--output", "Write here; else to the scenario's name with .py, here.", "FILE"),
    ] = None
    sipp_key: Annotated[
        list[str] | None,
        option("--sipp-key", "A keyword [NAME] of the scenario, as for the run.", "NAME=VALUE"),
    ] = None
    allow_exec: Annotated[
        bool, option("--allow-exec", "Import commands and files, too; a run asks again.")
    ] = False
    json: JsonOption = False

    def blank_summary(self) -> Mapping[str, Any]:
        """The fields of the summary, without values."""
        return {"path": None}
