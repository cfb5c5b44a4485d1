"""Two parts of `softphone demo`: a directory search and, where Prosody is installed, a chat."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from softphone.cli.console.output import CommandOutput
from softphone.config.directory_file import load_directories
from softphone.config.messaging_file import load_messaging
from softphone.contacts import Contact, Contacts
from softphone.lab import DOMAIN, LabServer
from softphone.phone import Phone

PATIENCE = 10.0


def open_directory(lab: LabServer, phone: Phone) -> Contacts:
    """Give a phone the lab's directory, for searches and for the names of its calls."""
    if lab.directory_file is None:
        raise LookupError("the lab has no directory")
    return phone.open_directories(load_directories(lab.directory_file).directories)


async def find_contact(output: CommandOutput, contacts: Contacts, word: str) -> Contact | None:
    """Search, print the results, and return the first contact with a number."""
    found = await contacts.search(word, limit=5)
    for one in found:
        numbers = ", ".join(each.text for each in one.numbers)
        sentence = f"   the directory has {one.name}: {numbers}"
        output.event("contact", sentence, name=one.name, number=numbers, sources=one.sources)
    return next((one for one in found if one.numbers), None)


async def exchange_messages(output: CommandOutput, lab: LabServer) -> str | None:
    """Let alice and bob exchange messages; return None on success, else what was wrong."""
    if lab.chat is None:
        return "the lab has no chat"
    async with AsyncExitStack() as stack:
        sides = []
        for name in ("alice", "bob"):
            phone = await stack.enter_async_context(Phone())
            sides.append(await phone.sign_in(load_messaging(lab.chat.accounts[name]).config))
        alice, bob = sides
        await alice.subscribe_to(f"bob@{DOMAIN}", within=PATIENCE)
        said = ((alice, bob, "Did you see the lock?"), (bob, alice, "And the key."))
        for one, other, text in said:
            sent = await one.send(other.jid, text, within=PATIENCE)
            heard = await asyncio.wait_for(anext(other), PATIENCE)
            sign = heard.security.sign
            sentence = f"   {heard.sender}: {heard.body} ({sign}: {heard.security})"
            output.event("message", sentence, sender=heard.sender, sign=sign, body=heard.body)
            if (sent.message.security.sign, sign, heard.body) != ("key", "key", text):
                return f"{other.jid} was not told {text!r} client to client"
    return None
