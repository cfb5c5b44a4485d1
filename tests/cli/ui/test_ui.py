"""`softphone ui`: refused where it would not be safe; the address, its file, a second browser."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from softphone.cli.console.options import CertificateOptions
from softphone.cli.console.output import CommandOutput
from softphone.cli.ui import ui as module
from softphone.cli.ui.options import UiOptions
from softphone.cli.ui.ui import serve_ui
from softphone.cli.ui.user import PageUser
from tests.docs.test_json_schema import hold
from tests.support.waiting import patiently, until
from tests.support.website import ask, browser

ACCOUNT = 'aor = "sip:alice@127.0.0.1"\nlisten = "udp:127.0.0.1:0"\n[media]\nsrtp = "off"\n'


@pytest.fixture
def account(tmp_path):
    """The file of an account that only listens."""
    path = tmp_path / "alice.toml"
    path.write_text(ACCOUNT)
    return path


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), "there is no terminal for the address"),
        (("--code", "no/such/file"), "there is no such folder"),
        (("--code", "code", "--port", "99999"), "port"),
        (("--code", "code", "none.toml"), "none.toml"),
        (("--code", "code", "a@example.test"), "give one address alone"),
        (("--code", "code", "--user-device", "CSF"), "--user-device is for USER@DOMAIN"),
        (("--code", "code", "--no-next-record"), "--next-record is for USER@DOMAIN"),
    ],
)
def test_what_would_not_be_safe_or_is_not_there_is_refused(
    cli, account, tmp_path, monkeypatch, options, why
):
    monkeypatch.chdir(tmp_path)
    ended = cli("ui", account, *options)
    assert (ended.code, why in " ".join(ended.err.split())) == (2, True), ended.err
    assert not (tmp_path / "code").exists()


async def _running(options, output):
    running = asyncio.ensure_future(serve_ui(output, options))
    await until(lambda: options.code.exists() or running.done())
    return running


async def _end(running):
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await patiently(running)


async def test_the_address_is_in_a_file_for_its_owner_and_a_second_browser_is_refused(
    account, tmp_path, capsys
):
    options = UiOptions(accounts=[account], code=tmp_path / "code", sound="none", json=True)
    running = await _running(options, CommandOutput(json=True))
    assert options.code.stat().st_mode & 0o777 == 0o600
    first = options.code.read_text().strip()
    async with browser() as owner, browser() as other:
        status, headers, _ = await ask(owner, "GET", first)
        assert status == 303
        url = first.partition("?")[0]
        root = url.rstrip("/") + headers["Location"]
        assert "softphone" in (await ask(owner, "GET", root))[2]
        second = options.code.read_text().strip()
        assert second != first
        # There is no terminal to ask on: the right code is not enough.
        status, headers, text = await ask(other, "GET", second)
        assert (status, "Set-Cookie" in headers) == (403, False)
        assert "This was not allowed." in text
        assert options.code.read_text().strip() != second
        assert (await ask(other, "GET", root))[0] == 403
        assert (await ask(owner, "GET", root))[0] == 200
    await _end(running)
    assert not options.code.exists()
    seen = capsys.readouterr()
    lines = [json.loads(line) for line in seen.out.splitlines()]
    assert [line["event"] for line in lines] == ["ui", "summary"]
    assert lines[0]["url"] == url
    assert "code=" not in seen.out
    hold("ui", lines)
    assert "there is no terminal to ask on" in seen.err


@pytest.mark.parametrize(("said", "status"), [("y", 303), ("", 403), ("no", 403)])
async def test_a_second_browser_is_let_in_by_a_yes_on_the_terminal(
    account, tmp_path, monkeypatch, said, status
):
    asked = []

    async def ask_line(prompt):
        asked.append(prompt)
        return said

    monkeypatch.setattr(module, "is_attended", lambda: True)
    monkeypatch.setattr(module, "ask_line", ask_line)
    options = UiOptions(accounts=[account], code=tmp_path / "code", sound="none")
    running = await _running(options, CommandOutput(json=False))
    async with browser() as owner, browser() as other:
        assert (await ask(owner, "GET", options.code.read_text().strip()))[0] == 303
        assert asked == []
        assert (await ask(other, "GET", options.code.read_text().strip()))[0] == status
    assert len(asked) == 1
    await _end(running)


async def test_on_a_terminal_the_address_is_printed_and_a_file_that_fails_is_told(
    account, tmp_path, monkeypatch, capsys
):
    output = CommandOutput(json=False)
    announce = module._Announcement(output, None)
    announce.address()
    assert "this signs one browser in: " in capsys.readouterr().out
    (tmp_path / "folder").mkdir()
    announce = module._Announcement(output, tmp_path / "folder")
    announce.address()
    assert "warning" in capsys.readouterr().err


async def test_services_come_from_the_first_file_that_has_them(account, lab, tmp_path):
    options = UiOptions(accounts=[account, lab["alice"], lab["bob"]], sound="card")
    config = await module._read(CommandOutput(json=True), options)
    assert [each.aor_uri.user for each in config.accounts] == ["alice", "alice", "bob"]
    assert config.voicemail is not None
    assert config.voicemail.user == "alice"
    assert (config.device, config.directories) == ("card", ())
    chat = tmp_path / "chat.toml"
    secret = tmp_path / "alice.secret"
    secret.write_text("a password\n")
    secret.chmod(0o600)
    im = '[im]\njid = "alice@chat.example.test"\npassword_file = "alice.secret"\n'
    uds = '[directory.x]\nkind = "uds"\nserver = "h"\n'
    chat.write_text(ACCOUNT + im + uds)
    config = await module._read(CommandOutput(json=True), UiOptions(accounts=[account, chat]))
    assert config.messaging is not None
    assert config.messaging.jid == "alice@chat.example.test"
    assert [each.name for each in config.directories] == ["x"]


def test_an_address_without_a_password_is_refused_before_anything_is_sent(cli, tmp_path):
    ended = cli("ui", "a@example.test", "--code", tmp_path / "code", "--cache", tmp_path / "found")
    assert (ended.code, "--password-file" in ended.err) == (2, True), ended.err
    assert not (tmp_path / "code").exists()


async def test_an_address_signs_its_user_in_by_the_options_of_sign_in(lab, tmp_path, monkeypatch):
    folder = lab["carol"].parent
    ready = json.loads((folder / "lab.json").read_text())
    options = UiOptions(
        accounts=[Path("carol@example.test")],
        sound="none",
        nameserver=[ready["dns"]],
        ca=[str(folder / "ca.crt")],
        password_file=folder / "carol.secret",
        only=["phone", "directory"],
        cache=tmp_path / "found",
        device_store=tmp_path / "carol",
        trust=CertificateOptions(store=tmp_path / "store"),
    )
    output = CommandOutput(json=True)
    options.account = module._address(options)
    page = await module._make_page(output, options, module._Announcement(output, None))
    async with page:
        await until(lambda: page.state()["sign_in"]["state"] == "signed in")
        states = {each["kind"]: each["state"] for each in page.state()["services"]}
        assert states["phone"] == states["directory"] == "signed in"
        assert states["chat"] == states["voicemail"] == "left out"
        assert page.state()["accounts"][0]["state"] == "registered"
        assert (folder / "carol.secret").read_text().strip() not in str(page.state())
    # The site's settings, as they were kept, may forbid questions about certificates.
    kept = PageUser.asks_nobody.fget
    monkeypatch.setattr(PageUser, "asks_nobody", property(lambda user: not kept(user)))
    page = await module._make_page(output, options, module._Announcement(output, None))
    assert await page._phone._trust_context.unknown._ask(None) is False
