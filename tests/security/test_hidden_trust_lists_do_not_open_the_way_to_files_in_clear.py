"""Whoever stands between us and the server can hide the trust lists, and offer a file in clear."""

from __future__ import annotations

import pytest

from softphone.errors import TransportError
from softphone.provisioning import HttpFiles
from softphone.provisioning.fetch_error import DownloadRefused
from softphone.trust import Bootstrap, FileRefusalReason, FileRefused
from tests.support.cluster import DEVICE, Shelf, boot_from, insecure, stored
from tests.support.http import WebServer

PLAIN = f"{DEVICE}.cnf.xml"


async def test_a_device_that_was_given_a_pin_wants_a_list(tmp_path):
    shelf = Shelf({PLAIN: insecure().text()})
    with pytest.raises(FileRefused, match="named, and the server has no list") as caught:
        await boot_from(shelf, tmp_path)
    assert caught.value.refusal is FileRefusalReason.NO_ANCHOR
    assert PLAIN not in shelf.asked
    assert stored(tmp_path) == {}


async def test_empty_lists_are_no_lists(tmp_path):
    empty = dict.fromkeys((f"CTL{DEVICE}.tlv", f"ITL{DEVICE}.tlv", "ITLFile.tlv"), b"")
    shelf = Shelf({PLAIN: insecure().text(), **empty})
    with pytest.raises(FileRefused, match="named, and the server has no list"):
        await boot_from(shelf, tmp_path)
    assert PLAIN not in shelf.asked


class Denied(Shelf):
    """Everybody gets the file in clear, nobody the lists."""

    async def fetch_file(self, name):
        if name.endswith(".tlv"):
            raise DownloadRefused(f"the shelf answered 403 for {name}")
        return await super().fetch_file(name)


async def test_lists_that_are_denied_are_not_lists_that_do_not_exist(tmp_path):
    shelf = Denied({PLAIN: insecure().text()})
    with pytest.raises(DownloadRefused, match="answered 403"):
        await boot_from(shelf, tmp_path, bootstrap=Bootstrap())
    assert PLAIN not in shelf.asked


async def test_a_server_in_trouble_has_not_said_that_there_are_none(tmp_path):
    async with WebServer(**{PLAIN: insecure().text()}) as web:
        web.status = "503 Service Unavailable"
        server = HttpFiles("127.0.0.1", web.port)
        with pytest.raises(TransportError, match="it answered 503"):
            await boot_from(server, tmp_path, bootstrap=Bootstrap())
    assert stored(tmp_path) == {}


async def test_a_cluster_without_lists_still_serves_a_device_that_is_not_secure(tmp_path):
    shelf = Shelf({PLAIN: insecure().text()})
    booted = await boot_from(shelf, tmp_path, bootstrap=Bootstrap())
    assert booted.config.security_mode == 1
