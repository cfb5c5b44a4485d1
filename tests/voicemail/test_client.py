"""Reading a voice mailbox: what is asked of whom, what is kept where, and what is refused."""

from __future__ import annotations

import asyncio
import logging
import stat
from contextlib import asynccontextmanager
from dataclasses import replace
from unittest.mock import AsyncMock

import numpy as np
import pytest

from softphone.errors import (
    CertificateUntrusted,
    ConfigurationError,
    MediaError,
    SecureMessageRefused,
    TransportError,
    TransportTimeout,
    VoicemailError,
    VoicemailRefused,
)
from softphone.events import MessageWaiting
from softphone.lab.unity_connection import (
    LabVoicemail,
    StoredMessage,
    VoicemailFault,
    mu_law_tone,
)
from softphone.media.audio import tone_level
from softphone.net.http import ResponseTooLarge, basic_authorization
from softphone.security import KeyMaterial, TlsVersion
from softphone.trust import Service, TlsSettings
from softphone.voicemail import (
    Folder,
    MailboxCounts,
    MessageFilter,
    VoicemailClient,
    VoicemailConfig,
    VoicemailFormat,
)
from tests.support.certificates import foreign, server, store
from tests.support.waiting import PATIENCE

PASSWORD = KeyMaterial(b"a mailbox's password")
TONE = mu_law_tone(440, 0.5)
FORMATS = list(VoicemailFormat)


def stored(number, **more):
    return StoredMessage(
        f"0:00000000-0000-4000-8000-{number:012}",
        "1002",
        "Bob",
        **{"sound": TONE, "arrived_ms": 1_522_069_679_000 + number, **more},
    )


BOX = (stored(1), stored(2, read=True, subscriber="Bob Example"), stored(3, secure=True))
FIRST, SECOND, SECURE = (each.id for each in BOX)


def running(tmp_path, box=BOX, *, issued=None, name="unity", **more):
    credential = (issued or server()).write(tmp_path, name)
    return LabVoicemail({"anna": list(box)}, {"anna": PASSWORD}, credential, **more)


def place(lab):
    return f"{lab.address[0]}:{lab.address[1]}"


def client(lab, **more):
    values = {
        "server": place(lab),
        "user": "anna",
        "password": PASSWORD,
        "tls": TlsSettings(store=store(), service=Service.HTTPS),
    }
    return VoicemailClient(VoicemailConfig(**{**values, **more}))


@asynccontextmanager
async def opened(tmp_path, box=BOX, *faults, **more):
    async with running(tmp_path, box) as lab:
        lab.faults.update(faults)
        yield lab, client(lab, **more)


async def ids(own, *arguments):
    return [each.id async for each in own.messages(*arguments)]


@pytest.mark.parametrize("form", FORMATS)
async def test_messages_are_listed_as_they_are(tmp_path, form):
    async with opened(tmp_path, format=form) as (lab, own):
        found = {each.id: each async for each in own.messages()}
        assert await own.version() == "12.5.1.10000-1"
    assert list(found) == [SECURE, FIRST, SECOND]
    first = found[FIRST]
    assert (first.read, first.secure, first.private, first.urgent) == (False, False, False, False)
    assert (first.peer, first.kind, first.duration) == ("Bob (1002)", "voice", 0.5)
    assert f"{first.arrived:%F %T %Z}" == "2018-03-26 13:07:59 UTC"
    assert found[SECOND].read
    assert (found[SECOND].peer, found[SECOND].extension) == ("Bob Example", "1002")
    assert found[SECURE].secure
    assert lab.asked[0][1].startswith("/vmrest/mailbox/folders/inbox/messages?pagenumber=1&")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("count", [0, 1, 2])
async def test_none_one_and_several_messages_are_told_apart(tmp_path, form, count):
    async with opened(tmp_path, BOX[:count], format=form) as (_, own):
        assert len(await ids(own)) == count


async def test_a_folder_and_a_filter_choose_messages(tmp_path):
    box = (*BOX, stored(4, folder="deleted"), stored(5, priority="Urgent", read=True))
    async with opened(tmp_path, box) as (_, own):
        assert await ids(own, Folder.DELETED) == [box[3].id]
        assert await ids(own, Folder.SENT) == []
        assert await ids(own, Folder.INBOX, MessageFilter(read=False)) == [SECURE, FIRST]
        assert await ids(own, Folder.INBOX, MessageFilter(urgent=True)) == [box[4].id]
        assert await ids(own, Folder.INBOX, MessageFilter(kind="fax")) == []
        assert await own.count() == MailboxCounts(2, 2)


async def test_messages_come_page_by_page(tmp_path):
    box = [stored(number) for number in range(25)]
    async with opened(tmp_path, box, page=10) as (lab, own):
        assert await ids(own) == [each.id for each in reversed(box)]
    pages = [path.partition("pagenumber=")[2].partition("&")[0] for _, path, _ in lab.asked]
    assert pages == ["1", "2", "3"]


@pytest.mark.parametrize("fault", [VoicemailFault.WRONG_TOTAL, VoicemailFault.SAME_PAGE])
async def test_a_total_that_is_wrong_neither_repeats_messages_nor_goes_on(tmp_path, fault):
    box = [stored(number) for number in range(12)]
    async with opened(tmp_path, box, fault, page=5) as (lab, own):
        found = await ids(own)
    assert len(found) == len(set(found)) == (5 if fault is VoicemailFault.SAME_PAGE else 12)
    assert len(lab.asked) <= 4


async def test_a_mailbox_that_is_not_mounted_does_not_look_empty(tmp_path):
    async with opened(tmp_path, BOX, VoicemailFault.NOT_MOUNTED) as (_, own):
        with pytest.raises(VoicemailError, match="not available now"):
            await ids(own)


@pytest.mark.parametrize("form", FORMATS)
async def test_a_message_becomes_read_and_new_again(tmp_path, form):
    async with opened(tmp_path, format=form) as (_, own):
        await own.mark_read(FIRST)
        assert (await own.message(FIRST)).read
        assert (await own.count()).new == 1
        await own.mark_read(FIRST, read=False)
        assert not (await own.message(FIRST)).read


async def test_a_deleted_message_is_kept_until_it_is_deleted_again(tmp_path):
    async with opened(tmp_path) as (_, own):
        await own.delete(FIRST)
        assert await ids(own, Folder.DELETED) == [FIRST]
        await own.delete(FIRST)
        assert await ids(own, Folder.DELETED) == []
        await own.delete(SECOND, permanently=True)
        assert await ids(own, Folder.DELETED) == []
        assert await ids(own) == [SECURE]


async def test_deleting_for_good_has_to_be_said_where_nothing_is_kept(tmp_path):
    async with opened(tmp_path, BOX, VoicemailFault.NO_DELETED_FOLDER) as (lab, own):
        with pytest.raises(VoicemailError, match="final"):
            await own.delete(FIRST)
        assert len(lab.mailboxes["anna"]) == 3
        await own.delete(FIRST, permanently=True)
        assert len(lab.mailboxes["anna"]) == 2


async def test_a_message_that_is_gone_is_told(tmp_path):
    async with opened(tmp_path, ()) as (_, own):
        for act in (own.message, own.mark_read, own.delete, own.sound):
            with pytest.raises(VoicemailError, match="no such message"):
                await act(FIRST)


@pytest.mark.parametrize("identity", ["", "1", "0:", "0:a/../../b", "0:a?harddelete=true", "0:ü"])
async def test_what_is_no_id_is_sent_nowhere(tmp_path, identity):
    async with opened(tmp_path) as (lab, own):
        for act in (own.message, own.mark_read, own.delete, own.sound):
            with pytest.raises(ConfigurationError, match="no message"):
                await act(identity)
    assert lab.asked == []


# Sound


async def test_the_sound_is_played_from_memory_and_wiped_at_its_end(tmp_path):
    async with opened(tmp_path) as (_, own):
        sound = await own.sound(SECURE)
    assert sound.secure
    assert len(sound) == len(TONE)
    octets = sound._octets
    view = octets.getbuffer()
    source = sound.source(8000)
    pcm = source.read(4000)
    assert tone_level(pcm, 440.0, 8000) > -30.0
    view.release()
    assert source.read(1).size == 0
    assert octets.closed
    assert len(sound) == 0
    with pytest.raises(ConfigurationError, match="wiped"):
        sound.source()


async def test_closing_a_sound_overwrites_it(tmp_path):
    async with opened(tmp_path) as (_, own):
        sound = await own.sound(FIRST)
    # Who still looks at the memory sees zeros, and keeps it from being released.
    held = np.frombuffer(sound._octets.getbuffer(), dtype=np.uint8)
    assert held.any()
    with pytest.raises(BufferError), sound:
        assert "secure" not in repr(sound)
    assert not held.any()
    del held
    sound.close()


async def test_a_sound_is_saved_for_its_owner_only_and_over_no_file(tmp_path):
    async with opened(tmp_path) as (lab, own):
        path = tmp_path / "saved.wav"
        assert await own.save(FIRST, path) == len(TONE)
        assert path.read_bytes() == TONE
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.write_bytes(b"mine")
        before = len(lab.asked)
        with pytest.raises(ConfigurationError, match="not overwritten"):
            await own.save(FIRST, path)
        assert path.read_bytes() == b"mine"
        assert not any("attachments" in asked for _, asked, _ in lab.asked[before:])
        await own.save(FIRST, path, overwrite=True)
        assert path.read_bytes() == TONE
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.glob("*saved*")] == ["saved.wav"]


async def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path, monkeypatch):
    async with opened(tmp_path) as (_, own):
        path = tmp_path / "saved.wav"
        fetch = own._fetch

        async def slow(*arguments):
            path.write_bytes(b"mine")
            return await fetch(*arguments)

        monkeypatch.setattr(own, "_fetch", slow)
        with pytest.raises(MediaError, match="exists by now"):
            await own.save(FIRST, path)
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_secure_message_is_never_stored(tmp_path, overwrite):
    folder = tmp_path / "into"
    folder.mkdir()
    async with opened(tmp_path) as (lab, own):
        with pytest.raises(SecureMessageRefused, match="not stored"):
            await own.save(SECURE, folder / "saved.wav", overwrite=overwrite)
    assert list(folder.iterdir()) == []
    assert not any("attachments" in path for _, path, _ in lab.asked)


def becoming(monkeypatch, own, **changes):
    """Let messages change while a sound is fetched; the buffers of the sounds."""
    fetch, read = own._fetch, own.message
    fetched = []

    async def fetch_slowly(*arguments):
        fetched.append(await fetch(*arguments))
        return fetched[-1]

    async def message(identity):
        found = await read(identity)
        return replace(found, **changes) if fetched else found

    monkeypatch.setattr(own, "_fetch", fetch_slowly)
    monkeypatch.setattr(own, "message", message)
    return fetched


@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_message_that_becomes_secure_meanwhile_is_not_stored(
    tmp_path, monkeypatch, overwrite
):
    folder = tmp_path / "into"
    folder.mkdir()
    async with opened(tmp_path) as (_, own):
        fetched = becoming(monkeypatch, own, secure=True)
        with pytest.raises(SecureMessageRefused, match="not stored"):
            await own.save(FIRST, folder / "saved.wav", overwrite=overwrite)
    assert list(folder.iterdir()) == []
    assert [octets.closed for octets in fetched] == [True]


@pytest.mark.parametrize("change", ["secure", "private"])
async def test_a_sound_is_as_its_message_was_after_it_had_come(tmp_path, monkeypatch, change):
    async with opened(tmp_path) as (_, own):
        becoming(monkeypatch, own, **{change: True})
        with await own.sound(FIRST) as sound:
            assert (sound.secure, sound.private) == (change == "secure", change == "private")


async def test_a_sound_whose_message_has_gone_is_wiped(tmp_path, monkeypatch):
    async with opened(tmp_path) as (_, own):
        fetched = becoming(monkeypatch, own)
        monkeypatch.setattr(own, "message", AsyncMock(side_effect=VoicemailError("gone")))
        with pytest.raises(VoicemailError, match="gone"):
            await own.sound(FIRST)
    assert [octets.closed for octets in fetched] == [True]


async def test_what_is_no_sound_is_not_kept(tmp_path):
    async with opened(tmp_path, BOX, VoicemailFault.BROKEN_SOUND) as (_, own):
        path = tmp_path / "saved.wav"
        with pytest.raises(VoicemailError, match="not a WAV file"):
            await own.save(FIRST, path)
    assert list(tmp_path.glob("*saved*")) == []


async def test_a_setting_that_forbids_secure_sounds_is_named(tmp_path):
    async with running(tmp_path, secure_sounds=False) as lab:
        with pytest.raises(VoicemailRefused, match="Secure Message Recordings"):
            await client(lab).sound(SECURE)


# Servers that misbehave


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (VoicemailFault.UNAVAILABLE, VoicemailError, "503"),
        (VoicemailFault.ERROR, VoicemailError, "500"),
        (VoicemailFault.REDIRECT, VoicemailRefused, "302.*not followed.*single sign-on"),
        (VoicemailFault.SIGN_ON_PAGE, VoicemailRefused, "single sign-on"),
        (VoicemailFault.ENDLESS, ResponseTooLarge, "sends more"),
    ],
)
async def test_a_server_that_misbehaves_ends_in_a_sentence(tmp_path, fault, error, words):
    async with opened(tmp_path, BOX, fault) as (lab, own):
        with pytest.raises(error, match=words):
            await ids(own)
    assert len(lab.asked) == 1


async def test_a_server_that_is_silent_is_not_waited_for(tmp_path):
    async with opened(tmp_path, BOX, VoicemailFault.SILENT, timeout=0.2) as (_, own):
        with pytest.raises(TransportTimeout):
            await own.version()


async def test_an_endless_sound_is_cut_off_and_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("softphone.voicemail.client.LARGEST_SOUND", 1 << 17)
    async with opened(tmp_path) as (lab, own):
        lab.mailboxes["anna"] = [stored(1, sound=TONE + bytes(1 << 17))]
        with pytest.raises(ResponseTooLarge):
            await own.save(FIRST, tmp_path / "saved.wav")
    assert list(tmp_path.glob("*saved*")) == []


async def test_a_server_that_is_not_believed_is_asked_nothing_and_ends_it(tmp_path):
    strange = foreign().server("127.0.0.1")
    async with (
        running(tmp_path, issued=strange) as wrong,
        running(tmp_path, name="other") as right,
    ):
        own = client(wrong, backups=(place(right),))
        with pytest.raises(CertificateUntrusted):
            await own.version()
    assert (wrong.asked, right.asked) == ([], [])


async def test_the_next_server_is_asked_while_the_first_one_fails(tmp_path, unused_tcp_port):
    async with running(tmp_path) as first, running(tmp_path, name="other") as second:
        first.faults.add(VoicemailFault.UNAVAILABLE)
        own = client(
            first, server=f"127.0.0.1:{unused_tcp_port}", backups=(place(first), place(second))
        )
        assert len(await ids(own)) == 3
        assert await own.version()
    assert (len(first.asked), len(second.asked)) == (1, 2)


async def test_no_server_left_is_the_last_one_s_error(tmp_path, unused_tcp_port):
    async with opened(tmp_path, BOX, VoicemailFault.UNAVAILABLE) as (lab, _):
        own = client(lab, backups=(f"127.0.0.1:{unused_tcp_port}",))
        with pytest.raises(TransportError):
            await own.version()


async def test_a_wrong_password_is_sent_once_and_told_nowhere(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    wrong = KeyMaterial(b"guessed-it")
    async with running(tmp_path) as first, running(tmp_path, name="other") as second:
        own = client(first, password=wrong, backups=(place(second),))
        with pytest.raises(VoicemailRefused, match="401") as caught:
            await own.version()
        with pytest.raises(VoicemailRefused):
            await anext(own.changes())
    assert (len(first.asked), second.asked) == (2, [])
    seen = f"{caught.value!r} {own.config!r} {caplog.text}"
    assert "guessed-it" not in seen
    assert basic_authorization("anna", wrong)[1].split()[1] not in seen


# TLS


async def test_in_fips_mode_tls_1_2_and_nothing_else_is_spoken(tmp_path):
    fips = TlsSettings(store=store(), service=Service.HTTPS, fips=True)
    newest = TlsSettings(minimum=TlsVersion.TLS_1_3)
    async with running(tmp_path, settings=newest) as lab:
        with pytest.raises(TransportError, match=r"in FIPS mode voicemail is .* TLS 1.2 only"):
            await client(lab, tls=fips).version()
        assert lab.asked == []
    async with running(tmp_path, settings=TlsSettings(maximum=TlsVersion.TLS_1_2)) as lab:
        own = client(lab, tls=fips)
        assert await own.version()
        assert "TLS 1.2 only" in own.tls_reason
        usual = TlsSettings(store=store(), service=Service.HTTPS, fips=False)
        assert client(lab, tls=usual).tls_reason == ""


# Message waiting


async def test_numbers_are_told_when_message_waiting_hints_at_them(tmp_path, monkeypatch):
    monkeypatch.setattr("softphone.voicemail.client.HINT_PAUSE", 0.0)
    async with opened(tmp_path) as (lab, own):
        changes = own.changes()
        assert await anext(changes) == MailboxCounts(2, 1)
        following = asyncio.ensure_future(anext(changes))
        lab.leave_message("anna", stored(9, priority="Urgent"))
        own.note_message_waiting(MessageWaiting(True, 77, 77))
        assert await asyncio.wait_for(following, PATIENCE) == MailboxCounts(3, 1, 1)
        await changes.aclose()


async def test_a_look_that_fails_or_finds_nothing_new_is_not_told(tmp_path, monkeypatch):
    monkeypatch.setattr("softphone.voicemail.client.HINT_PAUSE", 0.0)
    counted = iter([VoicemailError("503"), (2, 1), TransportError("lost"), (2, 1), (0, 3)])
    async with opened(tmp_path) as (_, own):

        async def count():
            own.note_message_waiting(MessageWaiting(True))
            found = next(counted)
            if isinstance(found, Exception):
                raise found
            return MailboxCounts(*found)

        monkeypatch.setattr(own, "count", count)
        changes = own.changes()
        assert await anext(changes) == MailboxCounts(2, 1)
        assert await anext(changes) == MailboxCounts(0, 3)
        await changes.aclose()


async def test_without_message_waiting_the_mailbox_is_looked_at_now_and_then(tmp_path, monkeypatch):
    monkeypatch.setattr("softphone.voicemail.client.HINT_PAUSE", 30.0)
    monkeypatch.setattr("softphone.voicemail.client.asyncio.sleep", AsyncMock())
    counted = iter([(1, 0), (2, 0)])
    async with opened(tmp_path, poll=30.0) as (_, own):
        monkeypatch.setattr(
            own, "count", AsyncMock(side_effect=lambda: MailboxCounts(*next(counted)))
        )
        changes = own.changes()
        assert [await anext(changes), await anext(changes)] == [
            MailboxCounts(1, 0),
            MailboxCounts(2, 0),
        ]
        await changes.aclose()


def with_tokens(good):
    """A source of tokens: "0", then the next one each time that the last was refused."""
    given = []

    async def fetch(refused):
        if refused or not given:
            given.append(str(len(given)))
        return KeyMaterial(given[-1].encode())

    return fetch, lambda token: "anna" if token in good else None, given


@pytest.mark.parametrize(("good", "asked"), [("0", ["0"]), ("1", ["0", "1"])])
async def test_a_token_takes_the_place_of_the_password_and_is_renewed_once(tmp_path, good, asked):
    fetch, token_user, given = with_tokens(good)
    async with running(tmp_path, token_user=token_user) as lab:
        own = client(lab, password=None, token=fetch)
        assert len(await ids(own)) == 3
        with await own.sound(FIRST) as sound:
            assert sound.octets[:4] == b"RIFF"
        assert await own.count() is not None
    assert given == asked


async def test_a_token_that_stays_refused_is_told_after_two(tmp_path):
    fetch, token_user, given = with_tokens("")
    async with running(tmp_path, token_user=token_user) as lab:
        with pytest.raises(VoicemailRefused, match="password or token is not accepted"):
            await client(lab, password=None, token=fetch).version()
        assert [user for _, _, user in lab.asked] == [None, None]
    assert given == ["0", "1"]


def test_a_mailbox_has_a_password_or_a_token():
    for more in ({}, {"password": PASSWORD, "token": AsyncMock()}):
        with pytest.raises(ConfigurationError, match="password: give"):
            VoicemailConfig("unity", "anna", **more)
