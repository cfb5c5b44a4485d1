"""`softphone csr`: certificate requests; what they do is in `softphone.cli.trust.csr`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softphone.cli.console.options import (
    AskPassphraseOption,
    JsonOption,
    KeyringOption,
    PassphraseFdOption,
    run_command,
)

if TYPE_CHECKING:
    from softphone.cli.console.output import CommandOutput

__all__ = ["group"]

group = typer.Typer(
    help="Make and check certificate requests.", no_args_is_help=True, rich_markup_mode=None
)

ProfileOption = Annotated[
    str,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="The kind of authority: public, public-multi (several names) or private.",
    ),
]


ServiceOption = Annotated[
    str,
    typer.Option("--service", metavar="NAME", help="tomcat, cup-xmpp, CallManager, or client."),
]
NameOption = Annotated[
    list[str],
    typer.Option(
        "--name", metavar="FQDN", help="A server's full name, or a client's SIP URI; repeat it."
    ),
]
FolderOption = Annotated[
    Path, typer.Option("--dir", metavar="DIR", help="Where keys and requests go.")
]
DomainOption = Annotated[
    str | None,
    typer.Option("--domain", metavar="NAME", help="The domain of the users, for XMPP and SIP."),
]
EachOption = Annotated[
    bool, typer.Option("--each", help="One request a name; else one with all of them.")
]
KeyOption = Annotated[
    str,
    typer.Option(
        "--key", metavar="KIND", help="rsa-2048, rsa-3072, rsa-4096, ec-p256, ec-p384, ec-p521."
    ),
]
CommonNameOption = Annotated[
    str,
    typer.Option("--common-name", metavar="NAME", help="Else the first name; it is a name, too."),
]
OrganizationOption = Annotated[str, typer.Option("--organization", metavar="TEXT")]
UnitOption = Annotated[str, typer.Option("--unit", metavar="TEXT", help="Organizational unit.")]
LocalityOption = Annotated[str, typer.Option("--locality", metavar="TEXT")]
StateOption = Annotated[str, typer.Option("--state", metavar="TEXT")]
CountryOption = Annotated[str, typer.Option("--country", metavar="CC", help="Two capitals.")]


@group.command()
def new(
    service: ServiceOption,
    name: NameOption,
    folder: FolderOption = Path(),
    profile: ProfileOption = "private",
    domain: DomainOption = None,
    each: EachOption = False,
    key: KeyOption = "rsa-2048",
    common_name: CommonNameOption = "",
    organization: OrganizationOption = "",
    unit: UnitOption = "",
    locality: LocalityOption = "",
    state: StateOption = "",
    country: CountryOption = "",
    passphrase_fd: PassphraseFdOption = None,
    keyring: KeyringOption = None,
    ask_passphrase: AskPassphraseOption = False,
    json: JsonOption = False,
) -> None:
    """Make keys and certificate requests; what an authority would refuse is not written."""

    async def command(output: CommandOutput) -> int:
        from softphone.cli.console.passphrase import PassphraseSource
        from softphone.cli.trust.csr import CsrPlan, make_requests
        from softphone.trust import Subject

        subject = Subject(common_name, organization, unit, locality, state, country)
        source = PassphraseSource(passphrase_fd, keyring, ask_passphrase)
        plan = CsrPlan(service, tuple(name), folder, subject, profile, key, domain, each, source)
        return await make_requests(output, plan)

    run_command(command, json=json)


@group.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Requests (PEM or DER), ours or others'.")],
    profile: ProfileOption = "public",
    json: JsonOption = False,
) -> None:
    """Judge requests by what an authority takes, and several by what has to be the same."""

    async def command(output: CommandOutput) -> int:
        from softphone.cli.trust.csr import check_requests

        return await check_requests(output, files, profile)

    run_command(command, json=json)
