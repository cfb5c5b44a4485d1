"""`softphone ui`: serves the page, and prints or writes how a browser signs in."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

from softphone.cli.call.call_options import load_checked
from softphone.cli.console.certificate_prompt import certificate_prompt, open_trust_store
from softphone.cli.console.fips_mode import enter_mode
from softphone.cli.console.options import CommandOptions, TrustOptions
from softphone.cli.console.output import CommandOutput
from softphone.cli.console.terminal import ask_line, is_attended
from softphone.cli.discovery.options import UserSignInOptions
from softphone.cli.ui.options import UiOptions
from softphone.config.directory_file import load_directories
from softphone.config.messaging_file import ImFile, load_messaging
from softphone.config.toml_reader import read_toml
from softphone.config.voicemail_file import VoicemailFile, load_voicemail
from softphone.contacts import DirectoryConfig
from softphone.errors import ConfigurationError
from softphone.extras import require_module
from softphone.monitoring import PageAccess
from softphone.operating_system import forbid_core_dumps
from softphone.trust import AskUser, UnknownCertificate
from softphone.trust.disk import write_private
from softphone.ui import PageConfig, PhonePage


async def serve_ui(output: CommandOutput, options: UiOptions) -> int:
    """Serve the page until interrupted.  Raises ConfigurationError before anything is sent."""
    require_module("aiohttp", "ui", "the page needs aiohttp")
    _check_code(output, options)
    options.account = _address(options)
    announce = _Announcement(output, options.code)
    page = announce.page = await _make_page(output, options, announce)
    try:
        async with page:
            # Before the event, so that whoever reads it finds the file.
            announce.address()
            output.event("ui", announce.sentence(), url=page.url)
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        output.summary("", result="completed", status=200, reason="interrupted")
        raise
    finally:
        if options.code is not None:
            options.code.unlink(missing_ok=True)
    return output.done("")


async def _make_page(
    output: CommandOutput, options: UiOptions, announce: _Announcement
) -> PhonePage:
    """Make the page of account files, or of a user.  Raises ConfigurationError."""
    trust, user = options.trust, None
    asks_nobody = trust.accept is not None or trust.no_prompt
    answer: AskUser | None = certificate_prompt(output, trust) if asks_nobody else None
    if options.account:
        # Imported here because a page of account files does without most services.
        from softphone.cli.ui.user import make_page_user

        user = await make_page_user(output, options)
        config = PageConfig(device=_sound_card(options), user=user.config)
        answer = _refuse if user.asks_nobody else answer
    else:
        config = await _read(output, options)
    return PhonePage(
        config,
        PageAccess(port=options.port),
        trust=open_trust_store(trust.store) if user is None else user.trust,
        answer=answer,
        confirm=announce.confirm,
        on_sign_in=announce.address,
        before_secure=forbid_core_dumps,
        callbacks=None if user is None else user.callbacks,
        resolver=None if user is None else user.resolver,
    )


def _check_code(output: CommandOutput, options: UiOptions) -> None:
    if options.code is None and not output.draws:
        raise ConfigurationError(
            "there is no terminal for the address that signs a browser in: give --code FILE, which"
            " only you will be able to read"
        )
    if options.code is not None and not options.code.absolute().parent.is_dir():
        raise ConfigurationError(f"--code {options.code}: there is no such folder")


def _address(options: UiOptions) -> str:
    """Return the user's mail address; "" for account files.

    Raises ConfigurationError for both together, and for a user's options without a user.
    """
    addresses = [each for each in options.accounts if "@" in each.name and not each.exists()]
    if not addresses:
        _check_no_user_option(options)
        return ""
    if len(options.accounts) > 1:
        raise ConfigurationError(
            f"{addresses[0]}: give one address alone: its services are found, and account files"
            " would name others"
        )
    return str(addresses[0])


def _check_no_user_option(options: UiOptions) -> None:
    hints = get_type_hints(UiOptions, include_extras=True)
    shared = {each.name for each in fields(CommandOptions)} | {"account", "json"}
    for each in fields(UserSignInOptions):
        hint = hints[each.name]
        if each.name in shared or not hasattr(hint, "__metadata__"):
            continue  # not an option, or one for account files, too
        if getattr(options, each.name) != each.default:
            # typer keeps the first flag there, since it has no other use for that in an annotation.
            flag = hint.__metadata__[0].default.partition("/")[0]
            raise ConfigurationError(f"{flag} is for USER@DOMAIN: an account file says that itself")


async def _refuse(question: UnknownCertificate) -> bool:
    return False


class _Announcement:
    """Tells the person at the terminal, or by a file, how a browser signs in."""

    def __init__(self, output: CommandOutput, file: Path | None) -> None:
        self._output = output
        self._file = file
        self.page: PhonePage | None = None

    def address(self) -> None:
        """Print or write the address that signs the next browser in."""
        address = "" if self.page is None else self.page.address
        if self._file is None:
            self._output.copyable(f"this signs one browser in: {address}")
            return
        try:
            write_private(self._file, f"{address}\n".encode())
        except ConfigurationError as error:
            self._output.warn(str(error))

    def sentence(self) -> str:
        """Return where the page is."""
        url = "" if self.page is None else self.page.url
        how = (
            "" if self._file is None else f": {self._file} has the address that signs a browser in"
        )
        return f"the page of this phone is {url}{how}"

    async def confirm(self) -> bool:
        """Ask on the terminal whether one more browser may sign in; without one it may not."""
        if self._output.json or not is_attended():
            self._output.warn("another browser was refused: there is no terminal to ask on")
            return False
        with self._output.asking():
            said = await ask_line("Another browser has the address. Let it in, too? [y/N] ")
        return said.strip().lower() in ("y", "yes")


async def _read(output: CommandOutput, options: UiOptions) -> PageConfig:
    """Read the account files.  Raises ConfigurationError."""
    paths = options.accounts
    own = options.trust
    trust = TrustOptions(
        accept=own.accept,
        no_prompt=own.no_prompt,
        store=own.store,
        passphrase=options.passphrase,
    )
    accounts = [await load_checked(output, path, trust) for path in paths]
    chat, mail = _first_with(paths, "im"), _first_with(paths, "voicemail")
    messaging = None if chat is None else load_messaging(chat)
    voicemail = None if mail is None else load_voicemail(mail)
    for file in (messaging, voicemail):
        if file is not None:
            _settle(output, file)
    return PageConfig(
        accounts=tuple(accounts),
        directories=_directories(paths),
        messaging=None if messaging is None else messaging.config,
        voicemail=None if voicemail is None else voicemail.config,
        device=_sound_card(options),
    )


def _sound_card(options: UiOptions) -> str | None:
    return None if options.sound == "none" else options.sound


def _settle(output: CommandOutput, file: ImFile | VoicemailFile) -> None:
    enter_mode(file.fips, str(file.path))
    for warning in file.warnings:
        output.warn_once(warning)


def _directories(paths: Sequence[Path]) -> tuple[DirectoryConfig, ...]:
    found = _first_with(paths, "directory")
    return () if found is None else load_directories(found).directories


def _first_with(paths: Sequence[Path], table: str) -> Path | None:
    """Return the first file that has a table."""
    return next((each for each in paths if table in _tables(each)), None)


def _tables(path: Path) -> Collection[str]:
    return read_toml(path, "account file", "`softphone lab --dir lab` writes examples").values
