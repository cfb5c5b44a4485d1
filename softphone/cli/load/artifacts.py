"""Writes the files of a run besides its output: the report, JUnit XML, annotations for CI."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from softphone.cli.console.option_names import name_options
from softphone.cli.console.output import CommandOutput, printable
from softphone.cli.console.runner import FAILED
from softphone.cli.load.options import ConformanceOptions, LoadOptions
from softphone.errors import ConfigurationError
from softphone.load import LoadResult, result_figures
from softphone.load.capacity import CapacitySearch
from softphone.load.conformance import ConformanceResult
from softphone.load.plan import ExpectationVerdict
from softphone.load.report import (
    GITLAB_FILE,
    SeriesFile,
    VerdictCase,
    conformance_cases,
    github_commands,
    gitlab_document,
    junit_document,
    markdown_summary,
    no_result_cases,
    output_text,
    run_properties,
    verdict_cases,
    write_conformance,
    write_no_result,
    write_report,
)
from softphone.trust.disk import write_private

READABLE = 0o644
"""The mode of the files: readable by others, since they hold no secrets."""
_SERVICES = ("github", "gitlab", "auto")


def check_artifacts(options: LoadOptions) -> None:
    """Check before the run that all files can be written.  Raises ConfigurationError."""
    check_file("--report", options.report)
    check_file("--junit", options.junit)
    check_file("--series", options.series)
    check_annotations(options.annotations)


def check_annotations(asked: str | None) -> None:
    """Check the value of `--annotations`.  Raises ConfigurationError."""
    if asked not in (None, *_SERVICES):
        raise ConfigurationError(
            f"--annotations {asked}: expected {', '.join(_SERVICES[:-1])} or auto"
        )


def check_file(option: str, path: Path | None) -> None:
    """Check that the file of an option can be written.  Raises ConfigurationError."""
    problem = None if path is None else _file_problem(path)
    if problem is not None:
        raise ConfigurationError(f"{option} {path}: {problem}")


def _file_problem(path: Path) -> str | None:
    """Return why no file can be written at `path`; None if no reason is known."""
    if not path.absolute().parent.is_dir():
        return "there is no such folder"
    return "that is a folder; name a file in it" if path.is_dir() else None


def write_artifacts(
    output: CommandOutput,
    options: LoadOptions,
    result: LoadResult,
    verdicts: Sequence[ExpectationVerdict],
    *,
    series: SeriesFile,
    begun: datetime,
    search: CapacitySearch | None = None,
) -> bool:
    """Write the requested files of a run that began at `begun`.

    Report those that cannot be written, and return False then.
    """
    report, junit = options.report, options.junit
    written = _end_series(output, series)
    if report is not None:

        def write_page() -> None:
            write_report(report, result, verdicts, search=search, wall=begun)
            output.event("report", f"the report is {report}", path=str(report))

        written &= attempt_write(output, write_page)
    cases = [with_option_names(case) for case in verdict_cases(result, verdicts, search)]
    if junit is not None:
        document = junit_document(
            cases,
            scenario=result.plan.scenario,
            wall=begun,
            seconds=seconds_since(begun),
            properties=run_properties(result),
            output=output_text(result),
        )
        written &= attempt_write(output, lambda: write_junit(output, junit, document))
    figures = result_figures(result)
    return annotate(output, options.annotations, options.scenario, cases, figures) and written


def _end_series(output: CommandOutput, series: SeriesFile) -> bool:
    """End the series; report an error and return False if not every second was written."""
    if series.error:
        output.error(series.error, FAILED)
    elif series.path is not None:
        output.event("series", f"the seconds are in {series.path}", path=str(series.path))
    return not series.error


def write_no_result_artifacts(
    output: CommandOutput,
    options: LoadOptions,
    error: str,
    verdicts: Sequence[ExpectationVerdict],
    *,
    begun: datetime,
) -> None:
    """Write the requested files of a run without a result, as far as possible."""
    report, junit = options.report, options.junit
    verdicts = [replace(each, measured=name_options(each.measured)) for each in verdicts]
    if report is not None and _file_problem(report) is None:
        title = f"{options.scenario}: {options.target or 'users call each other'}"

        def write_page() -> None:
            write_no_result(report, title, name_options(error), verdicts, wall=begun)
            output.event("report", f"the report is {report}", path=str(report))

        attempt_write(output, write_page)
    cases = [with_option_names(case) for case in no_result_cases(error, verdicts)]
    if junit is not None and _file_problem(junit) is None:
        document = junit_document(
            cases,
            scenario=options.scenario,
            wall=begun,
            seconds=seconds_since(begun),
            properties={
                "scenario": options.scenario,
                "target": options.target or "",
                "tolerate_late": str(options.tolerate_late),
            },
        )
        attempt_write(output, lambda: write_junit(output, junit, document))
    annotate(output, options.annotations, options.scenario, cases, [])


def write_conformance_artifacts(
    output: CommandOutput,
    options: ConformanceOptions,
    result: ConformanceResult | None,
    *,
    begun: datetime,
    error: str = "",
) -> bool:
    """Write the requested files of a conformance run, or of one without a result for `error`.

    Report those that cannot be written, and return False then.
    """
    report, junit, written = options.report, options.junit, True
    if report is not None:

        def write_page() -> None:
            if result is None:
                write_no_result(report, "conformance", name_options(error), [], wall=begun)
            else:
                write_conformance(report, result, wall=begun)
            output.event("report", f"the report is {report}", path=str(report))

        written &= attempt_write(output, write_page)
    if result is None:
        cases = [with_option_names(case) for case in no_result_cases(error, [])]
        figures: list[tuple[str, str]] = []
    else:
        cases = conformance_cases(result.cases, strict=options.fail_on == "deviates")
        figures = [(verdict.value, str(count)) for verdict, count in result.counts.items()]
    if junit is not None:
        document = junit_document(
            cases, scenario="conformance", wall=begun, seconds=seconds_since(begun)
        )
        written &= attempt_write(output, lambda: write_junit(output, junit, document))
    return annotate(output, options.annotations, "conformance", cases, figures) and written


def seconds_since(begun: datetime) -> float:
    """Return how long ago a run began."""
    return max(0.0, (_now() - begun).total_seconds())


def _now() -> datetime:
    return datetime.now().astimezone()


def with_option_names(case: VerdictCase) -> VerdictCase:
    """Return the case, its sentence with the options of the command line."""
    return replace(case, text=name_options(case.text))


def attempt_write(output: CommandOutput, write: Callable[[], None]) -> bool:
    """Write a file; return whether that succeeded.  The figures are printed in either case."""
    try:
        write()
    except ConfigurationError as error:
        output.error(str(error), FAILED)
        return False
    return True


def write_junit(output: CommandOutput, path: Path, document: str) -> None:
    """Write a JUnit document, and say where it is."""
    write_private(path, document.encode(), mode=READABLE)
    output.event("junit", f"the verdicts for CI are {path}", path=str(path))


def annotate(
    output: CommandOutput,
    asked: str | None,
    scenario: str,
    cases: Sequence[VerdictCase],
    figures: Sequence[tuple[str, str]],
    *,
    command: str = "softphone load",
) -> bool:
    """Write annotations for the named CI service, or the one we run in; return False on failure."""
    match _service(asked):
        case "github":
            # GitHub reads both streams of a step, and standard output may be a file of JSON.
            sys.stderr.writelines(f"{printable(line)}\n" for line in github_commands(cases))
            title = f"{command} {scenario}"
            return attempt_write(
                output, lambda: _add_step_summary(markdown_summary(cases, figures, title=title))
            )
        case "gitlab":
            path = Path(GITLAB_FILE)
            shown_at = os.environ.get("CI_CONFIG_PATH") or ".gitlab-ci.yml"
            document = gitlab_document(cases, path=shown_at)

            def write_quality() -> None:
                write_private(path, document.encode(), mode=READABLE)
                output.event("annotations", f"the code quality report is {path}", path=str(path))

            return attempt_write(output, write_quality)
    return True


def _service(asked: str | None) -> str | None:
    if asked != "auto":
        return asked
    if os.environ.get("GITHUB_ACTIONS") == "true":
        return "github"
    return "gitlab" if os.environ.get("GITLAB_CI") == "true" else None


def _add_step_summary(text: str) -> None:
    """Add to the Markdown of this step, if GitHub has a file for it.  Raises ConfigurationError."""
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name:
        return
    try:
        with open(name, "a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigurationError(f"{name} cannot be written: {error.strerror or error}") from error
