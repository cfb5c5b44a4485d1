"""Checks the options of `--ui`, serves the page, and prints how a browser signs in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from softphone.cli.call.monitoring import GuardedAccess
from softphone.cli.console.output import CommandOutput
from softphone.cli.load.artifacts import check_file
from softphone.cli.load.options import LoadOptions
from softphone.errors import ConfigurationError
from softphone.load.distribute import RunControl
from softphone.load.live import LiveRun, LoadPage
from softphone.load.plan import Expectation, LoadPlan
from softphone.monitoring import PageAccess
from softphone.trust.disk import write_private


def ui_access(output: CommandOutput, options: LoadOptions) -> PageAccess | None:
    """Check where the page is to be served; None without one.  Raises ConfigurationError."""
    place = options.ui
    if place is not None and ":" not in place:
        place = f"127.0.0.1:{place}"
    guarded = GuardedAccess(place, options.ui_certificate, options.ui_key, options.ui_token)
    access = guarded.checked("--ui")
    if options.ui_code is not None and (access is None or access.token is not None):
        raise ConfigurationError("--ui-code goes with --ui, and without --ui-token")
    check_file("--ui-code", options.ui_code)
    if access is not None and access.token is None and not (options.ui_code or output.draws):
        raise ConfigurationError(
            "--ui: there is no terminal for the address that signs a browser in: give --ui-code"
            " FILE, which only you will be able to read, or --ui-token FILE"
        )
    return access


@asynccontextmanager
async def serve_page(
    output: CommandOutput,
    options: LoadOptions,
    access: PageAccess,
    *,
    plan: LoadPlan,
    control: RunControl,
    expectations: Sequence[Expectation],
) -> AsyncIterator[LoadPage]:
    """Serve the page, and print or write the address that signs a browser in, then the next one."""
    file = options.ui_code

    def announce() -> None:
        if file is not None:
            write_private(file, f"{page.address}\n".encode())
        elif access.token is None:
            output.copyable(f"this signs one browser in: {page.address}")

    def signed_in() -> None:
        output.progress("a browser has signed in to the page of this run")
        try:
            announce()
        except ConfigurationError as error:
            output.warn(str(error))

    live = LiveRun(plan, control, expectations)
    page = LoadPage(live, control, access, on_sign_in=signed_in)
    async with page:
        how = "sign in by the token" if access.token is not None else ""
        if file is not None:
            how = f"{file} has the address that signs a browser in"
        sentence = f"the page of this run is {page.url}"
        # Before the event, so that whoever reads it finds the file.
        announce()
        output.event("ui", f"{sentence}: {how}" if how else sentence, url=page.url)
        try:
            yield page
        finally:
            if file is not None:
                file.unlink(missing_ok=True)
