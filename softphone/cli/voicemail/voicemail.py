"""`softphone voicemail list`, `play`, `fetch`, `read` and `delete`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from softphone.cli.call.call import run_call
from softphone.cli.call.call_options import prepare_call
from softphone.cli.call.options import CallOptions
from softphone.cli.console.certificate_prompt import certificate_prompt, open_trust_store
from softphone.cli.console.fips_mode import enter_mode
from softphone.cli.console.options import CertificateOptions
from softphone.cli.console.output import CommandOutput, local_time
from softphone.cli.voicemail.options import (
    DeleteMessageOptions,
    FetchMessageOptions,
    ListMessagesOptions,
    PlayMessageOptions,
    ReadMessageOptions,
)
from softphone.config.voicemail_file import load_voicemail
from softphone.errors import ConfigurationError, SecureMessageRefused
from softphone.media.audio.sound_device import play_sound
from softphone.operating_system import forbid_core_dumps
from softphone.phone import Phone
from softphone.voicemail import (
    Folder,
    MessageFilter,
    MessageSound,
    VoicemailClient,
    VoiceMessage,
)

MailboxOptions = (
    ListMessagesOptions
    | PlayMessageOptions
    | FetchMessageOptions
    | ReadMessageOptions
    | DeleteMessageOptions
)


async def list_messages(output: CommandOutput, options: ListMessagesOptions) -> int:
    """Print the messages of a folder, and how many of them are new."""
    try:
        folder = Folder(options.folder)
    except ValueError:
        known = ", ".join(Folder)
        raise ConfigurationError(f"--folder {options.folder}: expected one of {known}") from None
    wanted = MessageFilter(read=False if options.unread else None)
    found: list[VoiceMessage] = []
    more = False
    async with _mailbox(output, options, options.trust) as mailbox:
        with output.waiting(f"reading the mailbox at {mailbox.config.server}"):
            async for message in mailbox.messages(folder, wanted):
                more = len(found) == options.limit
                if more:
                    break
                found.append(message)
    for message in found:
        output.event("voicemail", **_fields(message))
    if found:
        head = ("", "from", "when", "length", "")
        output.table("", head, [(str(n), *_row(each)) for n, each in enumerate(found, 1)])
        output.copyable("\n".join(f"{n} {each.id}" for n, each in enumerate(found, 1)))
    new = sum(not each.read for each in found)
    rest = f"; there are more (--limit {options.limit})" if more else ""
    sentence = f"{len(found)} messages, {new} of them new{rest}" if found else "no messages"
    return output.done(sentence, reason="listed", messages=len(found), new=new, more=more)


async def play_message(output: CommandOutput, options: PlayMessageOptions) -> int:
    """Play a message from memory.  Raises SecureMessageRefused for a call with a secure one."""
    async with _mailbox(output, options, options.trust) as mailbox:
        message = await mailbox.message(options.message)
        _check_audience(message, options)
        with output.waiting(f"fetching the message of {message.peer}"):
            sound = await mailbox.sound(message.id, part=options.part)
    with sound:
        # The message may have become secure or private while its sound was fetched.
        _check_audience(sound, options)
        kind = "a secure message, not stored: " if sound.secure else ""
        output.event("playing", f"{kind}{_sentence(message)}", **_fields(message))
        if options.call is not None:
            return await _play_to(output, _call_options(options), sound)
        with output.waiting("playing"):
            await play_sound(sound.source(48_000), options.device)
    return output.done("", reason="played", id=message.id)


def _check_audience(message: VoiceMessage | MessageSound, options: PlayMessageOptions) -> None:
    """Forbid core dumps with a secure message in memory.

    Raises SecureMessageRefused for a call with a secure or private one.
    """
    if options.call is not None and (message.secure or message.private):
        kind = "secure" if message.secure else "private"
        raise SecureMessageRefused(
            f"{options.message}: a {kind} message is not played to somebody else: nobody was called"
        )
    if message.secure:
        forbid_core_dumps()


async def _play_to(output: CommandOutput, options: CallOptions, sound: MessageSound) -> int:
    source = sound.source()
    prepared = await prepare_call(output, options)
    prepared.source = source
    return await run_call(output, options, prepared)


def _call_options(options: PlayMessageOptions) -> CallOptions:
    return CallOptions(
        target=options.call or "",
        account=options.account,
        timeout=options.timeout,
        trust=options.trust,
        json=options.json,
    )


async def fetch_message(output: CommandOutput, options: FetchMessageOptions) -> int:
    """Save the sound of a message.  Raises SecureMessageRefused for a secure one."""
    async with _mailbox(output, options, options.trust) as mailbox:
        with output.waiting(f"fetching {options.message}"):
            size = await mailbox.save(
                options.message, options.into, part=options.part, overwrite=options.force
            )
    return output.done(f"{options.into}: {size} bytes", reason="fetched", size=size)


async def mark_messages(output: CommandOutput, options: ReadMessageOptions) -> int:
    """Mark messages as read, or as new, one after the other."""
    async with _mailbox(output, options, options.trust) as mailbox:
        for identity in options.messages:
            await mailbox.mark_read(identity, read=not options.unread)
            word = "new" if options.unread else "read"
            output.event("marked", f"{identity}: {word}", id=identity, read=not options.unread)
    return output.done("", reason="marked", messages=len(options.messages))


async def delete_messages(output: CommandOutput, options: DeleteMessageOptions) -> int:
    """Delete messages, one after the other."""
    async with _mailbox(output, options, options.trust) as mailbox:
        for identity in options.messages:
            await mailbox.delete(identity, permanently=options.permanently)
            output.event("deleted", f"{identity}: deleted", id=identity)
    return output.done("", reason="deleted", messages=len(options.messages))


@asynccontextmanager
async def _mailbox(
    output: CommandOutput, options: MailboxOptions, certificates: CertificateOptions
) -> AsyncIterator[VoicemailClient]:
    file = load_voicemail(options.account)
    enter_mode(file.fips, str(options.account))
    for warning in file.warnings:
        output.warn_once(warning)
    ask, trust = certificate_prompt(output, certificates), open_trust_store(certificates.store)
    async with Phone(trust=trust, unknown_certificate=ask) as phone:
        mailbox = phone.open_voicemail(file.config)
        if mailbox.tls_reason:
            output.event("tls", mailbox.tls_reason, reason=mailbox.tls_reason)
        yield mailbox


def _fields(message: VoiceMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "subject": message.subject,
        "peer": message.peer,
        "authenticated": message.authenticated,
        "caller_number": message.caller_number,
        "arrived": None if message.arrived is None else message.arrived.isoformat(),
        "seconds": message.duration,
        "size": message.size,
        "read": message.read,
        "urgent": message.urgent,
        "secure": message.secure,
        "private": message.private,
        "kind": message.kind,
    }


def _sentence(message: VoiceMessage) -> str:
    when = "" if message.arrived is None else f", {local_time(message.arrived)}"
    mark = "" if message.authenticated else " (not verified)"
    return f"{message.peer or 'unknown'}{mark}{when}, {message.duration:.0f} s"


def _row(message: VoiceMessage) -> tuple[str, ...]:
    marks = {
        "new": not message.read,
        "urgent": message.urgent,
        "secure": message.secure,
        "private": message.private,
        message.kind: message.kind not in ("", "voice"),
        "not verified": not message.authenticated,
    }
    return (
        message.peer or "unknown",
        "" if message.arrived is None else local_time(message.arrived),
        f"{message.duration:.0f} s",
        ", ".join(name for name, given in marks.items() if given),
    )
