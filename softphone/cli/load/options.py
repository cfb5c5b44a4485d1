"""The options of `softphone load`, and the plan that they make."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

__all__ = ["CapacityOptions", "LoadOptions", "takes_options"]

Options = TypeVar("Options")


def _option(*names: str, metavar: str | None = None, **words: str) -> Any:
    return typer.Option(*names, metavar=metavar, help=words["help"])


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """What `load run` is asked for, as given."""

    target: Annotated[
        str | None, _option("--target", metavar="URI", help="Whom to call: a SIP URI, or a user.")
    ] = None
    scenario: Annotated[
        str,
        _option(
            "--scenario",
            metavar="NAME",
            help="echo, pair, register-storm, reinvite, churn, or FILE.py:NAME.",
        ),
    ] = "echo"
    calls: Annotated[int, _option("--calls", help="Calls that are up at once, at most.")] = 10
    rate: Annotated[float, _option("--rate", help="Calls that begin in a second.")] = 10.0
    duration: Annotated[
        float, _option("--duration", metavar="SECONDS", help="Time after all calls have begun.")
    ] = 10.0
    arrival: Annotated[
        str,
        _option(
            "--arrival",
            metavar="KIND",
            help="constant, poisson, ramp:FROM-TO:S, step:RATE:S,RATE:S,… or trace:FILE.",
        ),
    ] = "constant"
    hold: Annotated[
        str | None,
        _option(
            "--hold",
            metavar="KIND",
            help="How long calls last: run, SECONDS, uniform:A-B, exponential:MEAN, "
            "lognormal:MEDIAN:SIGMA; new ones take the place of those that end.",
        ),
    ] = None
    seed: Annotated[int, _option("--seed", help="Of arrivals, holds and faults.")] = 1
    account: Annotated[
        Path | None,
        _option("--account", metavar="FILE", help="An account file that all users start from."),
    ] = None
    registrar: Annotated[
        str | None,
        _option("--registrar", metavar="URI", help="The server: sips:HOST, sip:HOST;transport=…."),
    ] = None
    register: Annotated[
        bool, typer.Option("--register/--no-register", help="Register users, or only call.")
    ] = True
    ca: Annotated[
        list[str] | None, _option("--ca", metavar="FILE", help="Whom to believe, or `system`.")
    ] = None
    pin: Annotated[str | None, _option("--pin", help="The server's certificate: sha256:….")] = None
    server_name: Annotated[
        str | None, _option("--server-name", help="The name in the server's certificate.")
    ] = None
    aor: Annotated[str | None, _option("--aor", metavar="URI", help="The one user.")] = None
    users: Annotated[
        Path | None,
        _option(
            "--users",
            metavar="FILE",
            help="CSV or TOML: aor, username, password_file, certificate, key, algorithms, realms.",
        ),
    ] = None
    user_template: Annotated[
        str | None,
        _option("--user-template", metavar="TEXT", help="Users by number: 'load{n:05}'."),
    ] = None
    user_count: Annotated[
        int | None, _option("--user-count", help="How many of the template; as many as calls.")
    ] = None
    username: Annotated[
        str | None, _option("--username", help="For digest; may have {n} and {user}.")
    ] = None
    password_file: Annotated[
        str | None, _option("--password-file", metavar="FILE", help="May have {n} and {user}.")
    ] = None
    certificate: Annotated[
        str | None, _option("--certificate", metavar="FILE", help="May have {n} and {user}.")
    ] = None
    key: Annotated[str | None, _option("--key", metavar="FILE", help="Its key, likewise.")] = None
    algorithms: Annotated[
        str | None,
        _option("--algorithms", metavar="LIST", help="Digest algorithms to answer: 'SHA-256;MD5'."),
    ] = None
    realms: Annotated[
        str | None,
        _option("--realms", metavar="LIST", help="Realms to answer in, set apart by ';'."),
    ] = None
    register_rate: Annotated[
        float, _option("--register-rate", help="Registrations in a second, before calls begin.")
    ] = 50.0
    srtp: Annotated[
        str | None, _option("--srtp", metavar="MODE", help="required, optional or off.")
    ] = None
    suite: Annotated[
        list[str] | None, _option("--suite", metavar="NAME", help="Offer only this; repeatable.")
    ] = None
    codec: Annotated[
        list[str] | None, _option("--codec", metavar="NAME", help="Offer only this; repeatable.")
    ] = None
    sockets: Annotated[
        str, _option("--sockets", metavar="HOW", help="per-call, or shared by up to 200 calls.")
    ] = "per-call"
    media: Annotated[
        str,
        _option(
            "--media",
            metavar="WHERE",
            help="inline, beside the signaling, or in a worker process on another core.",
        ),
    ] = "inline"
    ports: Annotated[
        str, _option("--ports", metavar="FIRST-LAST", help="Media ports, two a call.")
    ] = "40000-49999"
    host: Annotated[
        str | None,
        _option(
            "--host",
            metavar="ADDRESS",
            help="Our own address, of signaling and media; with {n}, the worker's number; or "
            "`node`, that of each Ray node.  Else the one that leads to the server.",
        ),
    ] = None
    play: Annotated[
        Path | None, _option("--play", metavar="WAV", help="Say this, over and over; else a tone.")
    ] = None
    checks: Annotated[
        int, _option("--checks", help="Calls that are listened to at once: is it what was said?")
    ] = 8
    answer_timeout: Annotated[
        float, _option("--answer-timeout", metavar="SECONDS", help="Wait this long for an answer.")
    ] = 32.0
    tolerate_late: Annotated[
        float,
        _option(
            "--tolerate-late",
            metavar="PERCENT",
            help="Packets of ours that may leave more than 20 ms late before the run is invalid.",
        ),
    ] = 1.0
    fault: Annotated[
        list[str] | None,
        _option(
            "--fault",
            metavar="WHAT",
            help="loss=1%, delay=50ms, cut=10s, wrong-password=5%, certificate=1%:FILE:KEY.",
        ),
    ] = None
    workers: Annotated[
        int,
        _option("--workers", help="Processes on this machine; more than its cores gain nothing."),
    ] = 1
    ray: Annotated[
        str | None,
        _option("--ray", metavar="ADDRESS", help="Put the workers on this Ray cluster; or auto."),
    ] = None
    expect: Annotated[
        list[str] | None,
        _option(
            "--expect",
            metavar="VERDICT",
            help="answered>=99.9%, mos_p5>=4.0, setup_p99<=500ms, suite=NAME, …; repeatable.",
        ),
    ] = None
    report: Annotated[
        Path | None, _option("--report", metavar="HTML", help="Write a report with plots.")
    ] = None
    prometheus: Annotated[
        int | None, _option("--prometheus", metavar="PORT", help="Serve figures on loopback.")
    ] = None
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object a second; the last is the summary.")
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityOptions(LoadOptions):
    """What `load find-capacity` is asked for; `calls` is where it begins."""

    most: Annotated[int, _option("--most", help="Never try more calls than this.")] = 10_000
    precision: Annotated[
        float, _option("--precision", metavar="SHARE", help="Stop bisecting within this share.")
    ] = 0.05
    confirm: Annotated[
        int, _option("--confirm", help="Times that the capacity must hold to be believed.")
    ] = 3


def takes_options(
    kind: type[Options],
) -> Callable[[Callable[[Options], None]], Callable[..., None]]:
    """Make a command of typer's of a function that takes one dataclass of options."""

    def wrap(function: Callable[[Options], None]) -> Callable[..., None]:
        def command(**values: Any) -> None:
            function(kind(**values))

        hints = get_type_hints(kind, include_extras=True)
        parameters = [
            inspect.Parameter(
                each.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None if each.default is MISSING else each.default,
                annotation=hints[each.name],
            )
            for each in fields(kind)  # type: ignore[arg-type]
        ]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        command.__doc__ = function.__doc__
        command.__name__ = function.__name__
        return command

    return wrap
