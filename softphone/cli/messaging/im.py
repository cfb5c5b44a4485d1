"""`softphone im send`, `chat`, `fetch`, `history` and `search`: messages, files, the archive."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from softphone.cli.console.certificate_prompt import (
    certificate_prompt,
    open_trust_store,
)
from softphone.cli.console.fips_mode import enter_mode
from softphone.cli.console.output import CommandOutput, local_time
from softphone.cli.console.runner import DONE, FAILED, checked_seconds, exit_code, hint_of
from softphone.cli.console.terminal import read_lines
from softphone.cli.messaging.options import (
    ChatOptions,
    FetchOptions,
    HistoryOptions,
    SearchMessagesOptions,
    SendOptions,
)
from softphone.config.messaging_file import ImFile, load_messaging
from softphone.errors import ConfigurationError, SoftphoneError
from softphone.messaging import (
    Availability,
    Message,
    MessageArchive,
    MessageDirection,
    MessagingClient,
)
from softphone.messaging.account_compliance import AccountCompliance
from softphone.messaging.compliance import ContentKind
from softphone.messaging.storage import DatabaseConnector
from softphone.net import DnsResolver
from softphone.net.driver import LazyFetcher
from softphone.net.http import HttpsEnvironment
from softphone.phone import Phone
from softphone.trust import TlsSettings
from softphone.trust.fips import random_bytes

SIGN = {"lock": "\N{LOCK}", "key": "\N{KEY}", "lock-open": "\N{OPEN LOCK}"}
"""The sign before a message: encrypted to the server, or to the other client."""


async def send_messages(output: CommandOutput, options: SendOptions) -> int:
    """Send message and files, and print the summary; `--wait` waits for the last one's receipt.

    Raises MessageRefused, MessageUndelivered, TransferRefused and related errors.
    """
    files = [(path, ContentKind.FILE) for path in options.file or ()]
    files += [(path, ContentKind.CAPTURE) for path in options.capture or ()]
    if options.text is None and not files:
        raise ConfigurationError("there is nothing to send: give a text or --file FILE")
    wait = checked_seconds("--wait", options.wait)
    async with _signed_in(output, options) as messages:
        if options.text is not None:
            sent = await messages.send(options.to, options.text)
            show_message(output, sent.message)
        for path, kind in files:
            with output.waiting(f"sending {path}"):
                sent = await messages.send_file(options.to, path, kind=kind)
            show_message(output, sent.message)
        delivered = None if wait is None else await sent.delivered(within=wait)
    outcome = {None: "sent", True: "delivered", False: "sent, and no receipt came"}[delivered]
    security = sent.message.security
    output.summary(
        f"{outcome}, {security}",
        result="failed" if delivered is False else "completed",
        status=0,
        reason=outcome,
        sign=security.sign,
    )
    return FAILED if delivered is False else DONE


async def fetch_one(output: CommandOutput, options: FetchOptions) -> int:
    """Fetch a file that was sent, as compliance allows; no sign-in is needed.

    Raises TransferRefused, TransferError, AuditError, CertificateError and related errors.
    """
    file, into = _load(output, options.account), options.into
    compliance = file.config.compliance
    if compliance is None:
        raise ConfigurationError(
            f"{options.account}: im.compliance.audit: files come with an audit table only: name one"
        )
    resolver = DnsResolver(entropy=random_bytes)
    environment = HttpsEnvironment(resolver.resolve, fetcher=LazyFetcher(resolver.resolve))
    async with AccountCompliance(file.config.jid, compliance, environment) as own:
        with output.waiting(f"fetching {options.url}"):
            moved = await own.files.download_file(options.url, into, options.sender)
    sentence = f"{into}: {moved.size} bytes, {moved.type}"
    return output.done(
        sentence,
        reason="",
        size=moved.size,
        type=moved.type,
        sha256=moved.sha256,
        row=moved.row,
    )


async def run_chat(output: CommandOutput, options: ChatOptions) -> int:
    """Print received messages, and send each typed line, until the end of input."""
    async with _signed_in(output, options) as messages:
        if output.stdout_console.is_terminal:
            output.copyable(f"Talking with {options.to}. Ctrl-D ends it.")
        listening = asyncio.ensure_future(_print_incoming(output, messages))
        typing = asyncio.ensure_future(_send_typed_lines(output, messages, options.to))
        try:
            await asyncio.wait({listening, typing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (listening, typing):
                task.cancel()
            outcomes = await asyncio.gather(listening, typing, return_exceptions=True)
            messages.close_conversation(options.to)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
    return output.done("", reason="left")


async def show_history(output: CommandOutput, options: HistoryOptions) -> int:
    """Print the messages of the archive.  Raises ConfigurationError without an archive."""
    file = _load(output, options.account)
    async with _archive(file) as archive:
        read = archive.read_messages(options.peer, last=options.last)
        messages = [message async for message in read]
    _show_archived(output, messages)
    count = len(messages)
    sentence = "" if messages else "nothing was said"
    return output.done(sentence, reason="", messages=count)


async def search_history(output: CommandOutput, options: SearchMessagesOptions) -> int:
    """Print one page of the messages that have all words.

    Raises ConfigurationError without an archive, and where the policy forbids a history.
    """
    file = _load(output, options.account)
    async with _archive(file) as archive:
        page = await archive.search_messages(
            " ".join(options.words), options.peer, limit=options.limit, before=options.before
        )
    _show_archived(output, page.messages)
    count = len(page.messages)
    sentence = f"{count} found, {page.method}"
    if page.next is not None:
        sentence += f"; more of it with --before {page.next}"
    return output.done(sentence, reason="", messages=count, method=page.method, next=page.next)


def _archive(file: ImFile) -> MessageArchive:
    """Make the account's archive.  Raises ConfigurationError without one."""
    history = file.config.history
    if history.archive is None:
        raise ConfigurationError(
            f"{file.path}: im.archive: there is no archive; history in memory ends with the"
            " sign-out" + (", or the conversation" if history.disable_history else "")
        )
    return MessageArchive(history, file.config.jid, DatabaseConnector(_believing(file.config.tls)))


def _show_archived(output: CommandOutput, messages: Sequence[Message]) -> None:
    rows = []
    for message in messages:
        if output.json:
            show_message(output, message)
        at = local_time(message.at)
        sign = SIGN[message.security.sign]
        rows.append((at, sign, message.peer, message.sender, message.body))
    if rows:
        output.table("", ("when", "", "with", "who", "what"), rows)


def _believing(tls: TlsSettings) -> TlsSettings:
    """Return the settings; an account without trust anchors of its own uses the phone's store."""
    if tls.store.anchors or tls.store.system or tls.store.all_pins:
        return tls
    return replace(tls, store=open_trust_store())


def _load(output: CommandOutput, account: Path) -> ImFile:
    file = load_messaging(account)
    enter_mode(file.fips, str(account))
    for warning in file.warnings:
        output.warn_once(warning)
    return file


@asynccontextmanager
async def _signed_in(
    output: CommandOutput, options: SendOptions | ChatOptions
) -> AsyncIterator[MessagingClient]:
    file = _load(output, options.account)
    ask, trust = certificate_prompt(output, options.trust), open_trust_store(options.trust.store)
    async with Phone(trust=trust, unknown_certificate=ask) as phone:
        with output.waiting(f"signing in as {file.config.jid}"):
            messages = await phone.sign_in(file.config)
        output.event(
            "signed_in",
            f"{messages.jid} is signed in ({messages.mechanism})",
            jid=messages.jid,
            mechanism=messages.mechanism,
        )
        if options.room is not None:
            await messages.join_room(options.to, options.room)
            output.event(
                "joined", f"in {options.to} as {options.room}", room=options.to, nick=options.room
            )
        elif "@" not in options.to:
            raise ConfigurationError(f"{options.to}: expected user@domain")
        else:
            presence = await messages.subscribe_to(options.to)
            words = " ".join(presence.status.split()) or presence.show.value
            if presence.show is Availability.OFFLINE:
                words = "not there"
            output.event("presence", f"{options.to}: {words}", peer=options.to, show=presence.show)
        yield messages


async def _print_incoming(output: CommandOutput, messages: MessagingClient) -> None:
    async for message in messages:
        show_message(output, message)


async def _send_typed_lines(output: CommandOutput, messages: MessagingClient, to: str) -> None:
    async for line in read_lines(sys.stdin.fileno()):
        if not line.strip():
            continue
        try:
            sent = await messages.send(to, line)
        except SoftphoneError as error:
            output.error(str(error), exit_code(error), hint=hint_of(error))
        else:
            show_message(output, sent.message)


def show_message(output: CommandOutput, message: Message) -> None:
    """Print a message, with the sign of its encryption."""
    # The whole address: a name means nothing without its domain, and anybody can choose a nickname.
    who = f"{message.sender} in {message.peer}" if message.room else message.sender
    body = message.body.replace("\n", "\n    ")
    arrow = "" if message.direction is MessageDirection.RECEIVED else " (sent)"
    output.event(
        "message",
        f"{SIGN[message.security.sign]} {local_time(message.at, '%R')} {who}{arrow}: {body}",
        id=message.id,
        direction=message.direction,
        peer=message.peer,
        sender=message.sender,
        room=message.room,
        at=message.at.isoformat(),
        body=message.body,
        file=message.file or None,
        sign=message.security.sign,
        security=message.security.scope,
    )
