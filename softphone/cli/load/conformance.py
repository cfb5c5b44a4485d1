"""`softphone load conformance`: send the cases, show them, judge, report."""

from __future__ import annotations

import math
from datetime import datetime

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.text import Text

from softphone.cli.console.output import CommandOutput, printable
from softphone.cli.console.runner import DONE, FAILED
from softphone.cli.load.artifacts import (
    check_annotations,
    check_file,
    write_conformance_artifacts,
)
from softphone.cli.load.options import INVALID, ConformanceOptions
from softphone.cli.load.plan import server_of_target
from softphone.config import AccountConfig, load_account, parse_sip_uri
from softphone.errors import ConfigurationError, SoftphoneError
from softphone.load.conformance import (
    CaseResult,
    CaseVerdict,
    ConformanceCase,
    ConformancePlan,
    ConformanceResult,
    ConformanceRunner,
    case_fields,
    read_cases,
    select_cases,
)
from softphone.load.plan import BaseSpec, LoadPlan, UserSpec, base_account, config_of

MOST_RATE = 10.0
"""Messages a second: a conformance run is no flood."""
LINE_EVERY = 10
"""Cases between two lines of progress."""
_BROKEN_BY = {
    None: (),
    "fail": (CaseVerdict.FAILED,),
    "deviates": (CaseVerdict.FAILED, CaseVerdict.DEVIATES),
}


async def run_conformance(output: CommandOutput, options: ConformanceOptions) -> int:
    """Send the cases; return 0, 1 for a verdict of --fail-on, 4 if none could be judged."""
    begun = datetime.now().astimezone()
    cases = select_cases(options.only or [], read_cases())
    if options.list_cases:
        return _list_cases(output, cases)
    plan = conformance_plan(options, cases)
    _check(options)
    try:
        result = await _run(output, plan)
    except SoftphoneError as error:
        write_conformance_artifacts(output, options, None, begun=begun, error=str(error))
        raise
    written = write_conformance_artifacts(output, options, result, begun=begun)
    code = _code(options, result)
    _print_result(output, result, code)
    return code or (DONE if written else FAILED)


async def _run(output: CommandOutput, plan: ConformancePlan) -> ConformanceResult:
    def show(result: CaseResult) -> None:
        output.event("case", **case_fields(result))
        screen.add_case(result)
        update(screen.view())

    runner = ConformanceRunner(plan, on_case=show)
    screen = _Screen(output, len(runner.cases))
    with output.screen(screen.view()) as update:
        async with runner:
            return await runner.run()


def conformance_plan(
    options: ConformanceOptions, cases: tuple[ConformanceCase, ...]
) -> ConformancePlan:
    """Return the plan of the options.  Raises ConfigurationError."""
    account = _account(options)
    if options.target is None:
        raise ConfigurationError("--target: say whom requests name: a SIP URI, or a user")
    if options.call is not None:
        if options.account is None:
            raise ConfigurationError("--call: a call needs --account")
        account.target_uri(options.call)
    if not 0 < options.rate <= MOST_RATE:
        raise ConfigurationError(f"--rate {options.rate:g}: expected more than 0, at most 10")
    if not (math.isfinite(options.answer_timeout) and options.answer_timeout > 0):
        raise ConfigurationError(
            f"--answer-timeout {options.answer_timeout:g}: expected seconds, more than 0"
        )
    return ConformancePlan(
        account,
        account.target_uri(options.target),
        cases,
        rate=options.rate,
        answer_timeout=options.answer_timeout,
        call=options.call,
        host=options.host,
    )


def _account(options: ConformanceOptions) -> AccountConfig:
    if options.account is not None:
        for name in ("aor", "ca", "pin", "server_name"):
            if getattr(options, name) is not None:
                flag = name.replace("_", "-")
                raise ConfigurationError(f"--{flag}: the account file says it; write it there")
        return load_account(options.account).config
    if options.target is None or not options.target.lower().startswith(("sip:", "sips:")):
        raise ConfigurationError("--target: give a whole URI, or --account")
    server = server_of_target(options.target)
    host = parse_sip_uri(server, what="--target").host
    user = UserSpec(options.aor or f"sip:conformance@{f'[{host}]' if ':' in host else host}")
    base = BaseSpec(
        server=server,
        registers=False,
        ca=tuple(options.ca or ()),
        pin=options.pin,
        server_name=options.server_name,
    )
    plan = LoadPlan("conformance", options.target, base, (user,))
    return config_of(base_account(plan), user)


def _check(options: ConformanceOptions) -> None:
    """Check before the run what would fail only at its end.  Raises ConfigurationError."""
    if options.fail_on not in _BROKEN_BY:
        raise ConfigurationError(f"--fail-on {options.fail_on}: expected fail or deviates")
    check_file("--report", options.report)
    check_file("--junit", options.junit)
    check_annotations(options.annotations)


def _list_cases(output: CommandOutput, cases: tuple[ConformanceCase, ...]) -> int:
    for case in cases:
        unsent = CaseResult(case, CaseVerdict.NOT_JUDGED, str(case.allowed), "not sent")
        output.event("case", **case_fields(unsent))
    rows = [(case.name, case.section, case.asks) for case in cases]
    output.table("", ("case", "where", "asked for"), rows, whole=("case",))
    output.summary("1 case" if len(cases) == 1 else f"{len(cases)} cases")
    return DONE


class _Screen:
    """The progress of a run: a bar on a terminal, else a line now and then."""

    def __init__(self, output: CommandOutput, total: int) -> None:
        self._output = output
        self._total = total
        self._done = 0
        self._line = ""

    def add_case(self, result: CaseResult) -> None:
        """Note a case; print its line where it did not pass, or where one is due."""
        self._done += 1
        self._line = f"{self._done} of {self._total}: {result.case.name}: {result.verdict}"
        bad = result.verdict in (CaseVerdict.FAILED, CaseVerdict.DEVIATES)
        if bad:
            self._output.progress(f"{self._line}: {result.came}")
        elif not self._output.draws and self._done % LINE_EVERY == 0:
            self._output.progress(self._line)

    def view(self) -> Group:
        """Return the latest case, and the bar below it."""
        bar = ProgressBar(total=self._total, completed=self._done)
        # The bar ends without a line break: what followed it would not be seen.
        return Group(Text(printable(self._line)), bar)


def _print_result(output: CommandOutput, result: ConformanceResult, code: int) -> None:
    rows = [(each.case.name, each.expected, each.came, each.verdict.value) for each in result.cases]
    output.table("", ("case", "expected", "came", "verdict"), rows, whole=("case",))
    reasons = [(each.case.name, each.why) for each in result.cases if each.why]
    if reasons:
        output.table("", ("case", "why"), reasons, whole=("case",))
    lines = [result.sentence]
    if result.call:
        lines.append(f"the call meanwhile: {result.call}")
    if result.stopped:
        lines.append(result.stopped)
    sentence = "\n".join(lines)
    if code != DONE:
        output.explain_failure(sentence)
    output.summary(sentence, **result.summary())


def _code(options: ConformanceOptions, result: ConformanceResult) -> int:
    counts = result.counts
    if result.stopped or any(counts[verdict] for verdict in _BROKEN_BY[options.fail_on]):
        return FAILED
    judged = len(result.cases) - counts[CaseVerdict.NOT_JUDGED]
    return INVALID if options.fail_on is not None and not judged else DONE
