"""`softphone contacts search`: finds people in the configured directories, and prints a table."""

from __future__ import annotations

from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import DONE, FAILED, exit_code, hint_of
from softphone.cli.messaging.options import SearchOptions
from softphone.contacts import Contact, Contacts, open_directories


async def search_contacts(output: CommandOutput, options: SearchOptions) -> int:
    """Search all directories of a file; return 0 if somebody was found, else 1."""
    from softphone.config.directory_file import load_directories
    from softphone.net import DnsResolver
    from softphone.net.driver import LazyFetcher
    from softphone.trust.fips import random_bytes

    loaded = load_directories(options.config)
    for warning in loaded.warnings:
        output.warn(warning)
    resolver = DnsResolver(entropy=random_bytes)
    directories = open_directories(loaded.directories, LazyFetcher(resolver.resolve))
    async with Contacts(directories) as contacts:
        names = ", ".join(each.name for each in directories)
        with output.waiting(f"searching {names}"):
            found = await contacts.find(options.word, limit=options.limit)
    for name, error in found.failures:
        output.warn(f"{name}: {error}")
        output.event("failure", directory=name, message=str(error))
    for contact in found.contacts:
        output.event("contact", **_fields(contact))
    if found.contacts:
        output.table("", ("name", "number", "mail", "department", "from"), _rows(found.contacts))
    count = len(found.contacts)
    if found.failures and not count:
        error = found.failures[0][1]
        return output.failed(str(error), exit_code(error), result="failed", hint=hint_of(error))
    sentence = f"{count} found" if count else f"nobody is called {options.word!r}"
    result = "completed" if count else "failed"
    output.summary(sentence, result=result, status=0, reason="", found=count)
    return DONE if count else FAILED


def _fields(contact: Contact) -> dict[str, object]:
    return {
        "name": contact.name,
        "numbers": [{"kind": each.kind, "number": each.text} for each in contact.numbers],
        "email": contact.email,
        "uri": contact.uri,
        "username": contact.username,
        "department": contact.department,
        "title": contact.title,
        "sources": list(contact.sources),
    }


def _rows(contacts: tuple[Contact, ...]) -> list[tuple[str, ...]]:
    return [
        (
            each.name,
            "\n".join(f"{number.text} ({number.kind})" for number in each.numbers),
            each.email,
            each.department,
            ", ".join(each.sources),
        )
        for each in contacts
    ]
