"""A directory or file server that answers with megabytes stops no call, whatever they are.

Documents are read in time linear in their length, and beside the loop when they are large.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from dataclasses import replace

import pytest

from softphone.contacts import uds
from softphone.contacts.uds_document import parse_home_cluster, parse_users
from softphone.discovery.document import parse_devices, parse_service_profile
from softphone.errors import DirectoryError, SoftphoneError
from softphone.messaging.im_presence.document import parse_login
from softphone.net import run_by_size
from softphone.net.off_loop import LARGE
from softphone.provisioning import config_fetch, parse_device_config
from softphone.provisioning.file_client import FailoverFileClient
from softphone.provisioning.trust_list_fetch import TrustListFetch
from softphone.trust import Bootstrap, FileRefused, TrustListStore
from tests.support.cluster import (
    DEVICE,
    WALL,
    Shelf,
    boot_from,
    content,
    full_shelf,
    lists_on_shelf,
    pin,
    signed,
)
from tests.support.waiting import PATIENCE


def numbered(unit):
    return lambda count: b"".join(unit % {b"n": number} for number in range(count))


def repeated(unit):
    return lambda count: unit * count


UNITS = {
    "results, each with an attribute of its own": numbered(b"<result a%(n)d='1'/>"),
    "users": numbered(b"<user><userName>u%(n)d</userName></user>"),
    "users with an element of their own": numbered(b"<user><a%(n)d>1</a%(n)d></user>"),
    "elements": repeated(b"<a/>"),
    "elements of their own": numbered(b"<a%(n)d/>"),
    "lines": repeated(b"\n"),
    "entities": repeated(b"&lt;"),
    "character references": repeated(b"&#60;"),
    "comments": repeated(b"<!---->"),
    "instructions": repeated(b"<?a?>"),
    "sections": repeated(b"<![CDATA[<]]>"),
    "lines of a phone": repeated(b"<line><featureID>9</featureID><name>1</name></line>"),
    "members": repeated(b"<member><callManager><name>a</name></callManager></member>"),
}
WRAPPED = {
    "users": (parse_users, b"<users>%b</users>", "x"),
    "cluster": (parse_home_cluster, b"<result>%b</result>"),
    "users in one text": (parse_users, b"<users><user><userName>%b</userName></user></users>", "x"),
    "devices of a user": (parse_devices, b"<devices>%b</devices>"),
    "service profile": (parse_service_profile, b"<UserProfile>%b</UserProfile>"),
    "login": (
        parse_login,
        b"<Envelope xmlns='http://www.w3.org/2003/05/soap-envelope'><Body>%b</Body></Envelope>",
    ),
    "device": (parse_device_config, b"<device>%b</device>"),
    "device's lines": (
        parse_device_config,
        b"<device><sipProfile><sipLines>%b</sipLines></sipProfile></device>",
    ),
    "device's members": (
        parse_device_config,
        b"<device><devicePool><callManagerGroup><members>%b</members></callManagerGroup>"
        b"</devicePool></device>",
    ),
}


QUICK = 0.5
"""Seconds in which the clock's noise does not count."""


def seconds(document, unit, count, *, enough=0.0):
    """The least of three times, or the first that is below `enough`."""
    parse, wrapping, *more = WRAPPED[document]
    data = wrapping % UNITS[unit](count)

    def once():
        begun = time.process_time()
        with contextlib.suppress(SoftphoneError, FileRefused):  # it is the time that counts
            parse(data, *more)
        return time.process_time() - begun

    least = once()
    for _ in range(2):
        if least < enough:
            break
        least = min(least, once())
    return least


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("document", WRAPPED)
def test_eight_times_the_length_is_no_sixty_four_times_the_work(document, unit):
    # A square would be 64 times.
    long = seconds(document, unit, 12_000, enough=QUICK)
    assert long < QUICK or long < 40 * seconds(document, unit, 1_500)


def test_an_element_with_attributes_without_number_is_refused_before_they_are_made():
    attributes = b" ".join(b"a%d='1'" % number for number in range(60_000))
    with pytest.raises(DirectoryError, match="too many attributes"):
        parse_users(b"<users %b/>" % attributes, "x")
    with pytest.raises(FileRefused, match="too many attributes"):
        parse_device_config(b"<device %b/>" % attributes)
    # Of those that are read the last counts, as it did.
    assert parse_users(b"<users totalCount='7' start='0'/>", "x").total == 7
    found = parse_home_cluster(
        b"<result found='false'><result found='true'/><homeCluster>h</homeCluster></result>"
    )
    assert (found.found, found.host) == (True, "h")


async def test_what_is_large_is_read_beside_the_loop():
    here = threading.current_thread()
    assert await run_by_size(LARGE - 1, threading.current_thread) is here
    assert await run_by_size(LARGE, threading.current_thread) is not here
    entered, served = threading.Event(), threading.Event()

    def waits():
        entered.set()
        return served.wait(PATIENCE)

    asyncio.get_running_loop().call_soon(served.set)
    assert await run_by_size(LARGE, waits)
    with pytest.raises(ZeroDivisionError):
        await run_by_size(LARGE, divmod, 1, 0)


class Told:
    """A function, and the threads that it was called in."""

    def __init__(self, function):
        self.function = function
        self.threads = []

    def __call__(self, *arguments, **named):
        self.threads.append(threading.current_thread())
        return self.function(*arguments, **named)

    @property
    def in_loop(self):
        return [each is threading.main_thread() for each in self.threads]


def padded(text, size):
    return text.replace(b"</device>", b" " * size + b"</device>")


@pytest.mark.parametrize(("size", "in_loop"), [(0, True), (LARGE, False)])
async def test_a_configuration_is_verified_and_read_there(size, in_loop, tmp_path, monkeypatch):
    opened = Told(config_fetch.open_signed)
    last = Told(config_fetch.last_accepted)
    monkeypatch.setattr(config_fetch, "open_signed", opened)
    monkeypatch.setattr(config_fetch, "last_accepted", last)
    name = f"{DEVICE}.cnf.xml.sgn"
    shelf = full_shelf(**{name: signed(padded(content(expires=300).text(), size), minutes=5)})
    for _ in range(2):
        booted = await boot_from(shelf, tmp_path)
        assert booted.config.timers.register_expires == 300
    assert opened.in_loop == [in_loop] * 2
    # Before each fetch what is kept is looked at, which is nothing at first.
    assert last.in_loop == [True, in_loop, in_loop, in_loop]


async def test_a_boot_waits_for_a_store_beside_the_loop(tmp_path, monkeypatch):
    # Another process may hold the lock for seconds.
    calls = {}
    for name in ("held", "accept_list", "check_pins"):
        calls[name] = Told(getattr(TrustListStore, name))
        told = calls[name]
        monkeypatch.setattr(TrustListStore, name, lambda *a, told=told, **named: told(*a, **named))
    fetch = TrustListFetch(
        DEVICE,
        FailoverFileClient([Shelf(lists_on_shelf())]),
        TrustListStore(tmp_path / "store"),
        lambda step: None,
        Bootstrap(frozenset({pin()})),
    )
    await fetch.fetch_lists(wall=WALL)
    await replace(fetch, servers=FailoverFileClient([Shelf({})])).fetch_lists(wall=WALL)
    assert all(told.threads and not any(told.in_loop) for told in calls.values())


@pytest.mark.parametrize(("size", "in_loop"), [(0, True), (LARGE, False)])
async def test_users_are_read_there(size, in_loop, monkeypatch):
    told = Told(uds.parse_users)
    monkeypatch.setattr(uds, "parse_users", told)
    directory = uds.UdsDirectory.__new__(uds.UdsDirectory)

    async def answers(*_, **__):
        return b"<users>%b<user><userName>a</userName></user></users>" % (b" " * size)

    async def home():
        return ("cucm.test", 8443)

    directory._config = type("Config", (), {"name": "uds"})()
    directory._get, directory._home = answers, home
    (found,) = await directory._users("name", "a", 1)
    assert (found.username, told.in_loop) == ("a", [in_loop])
