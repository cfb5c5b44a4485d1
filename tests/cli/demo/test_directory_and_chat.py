"""What the demo says of people when the lab has no directory, no chat, or nobody of that name."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from softphone.cli.console.output import CommandOutput
from softphone.cli.demo.directory_and_chat import exchange_messages, find_contact, open_directory
from softphone.contacts import Contact, ContactNumber
from softphone.phone import Phone


class Directory:
    def __init__(self, *contacts):
        self.contacts = contacts

    async def search(self, word, limit):
        return self.contacts


async def test_what_is_missing_is_said():
    lab = SimpleNamespace(directory_file=None, chat=None)
    async with Phone() as phone:
        with pytest.raises(LookupError):
            open_directory(lab, phone)
    assert await exchange_messages(CommandOutput(json=True), lab) == "the lab has no chat"


async def test_who_has_a_number_is_found(capsys):
    bob, ann = Contact("Bob"), Contact("Ann", (ContactNumber("work", "1001"),), sources=("lab",))
    assert await find_contact(CommandOutput(json=True), Directory(bob, ann), "x") is ann
    assert await find_contact(CommandOutput(json=True), Directory(bob), "x") is None
    assert '"name": "Ann"' in capsys.readouterr().out
