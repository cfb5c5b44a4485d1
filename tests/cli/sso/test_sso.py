"""`softphone sso` against the lab's authorization server, and the mailbox that takes its tokens."""

from __future__ import annotations

import json
import stat
import webbrowser

import pytest

from softphone.config.oauth_table import load_sign_on
from tests.support.programs import need

CURL = "curl -sSL --cacert {folder}/ca.crt -u {user}:{password} %s"


@pytest.fixture
def folder(lab):
    return lab["dave"].parent


def secret(folder, name):
    return (folder / f"{name}.secret").read_text().strip()


@pytest.fixture
def by_curl(folder, monkeypatch):
    """Let curl be the browser: the lab's server takes Basic credentials, too."""
    need("curl")

    def use(user):
        command = CURL.format(folder=folder, user=user, password=secret(folder, user))
        browser = webbrowser.GenericBrowser(command.split())
        monkeypatch.setattr(webbrowser, "open", browser.open)

    return use


def test_one_sign_in_opens_the_mailbox_and_signing_out_closes_it(cli, folder, by_curl):
    account = folder / "sign-on-dave.toml"
    before = cli("voicemail", "list", "--account", account)
    assert before.code == 1
    assert "softphone sso sign-in" in before.err
    by_curl("dave")
    ended = cli("sso", "sign-in", "--account", account, "--json")
    assert ended.code == 0, ended.err
    assert ended.names() == ["browser", "summary"]
    assert (ended.summary["reason"], ended.summary["refresh"]) == ("signed_in", True)
    assert "unencrypted" in ended.summary["store"]
    stored = folder / "tokens" / "dave.json"
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    tokens = [json.loads(stored.read_text())[key] for key in ("access_token", "refresh_token")]
    assert not any(token in ended.out + ended.err for token in tokens)
    listed = cli("voicemail", "list", "--account", account, "--json")
    assert (listed.code, listed.summary["messages"]) == (0, 3)
    out = cli("sso", "sign-out", "--account", account, "--json")
    assert (out.code, out.summary["revoked"]) == (0, True)
    assert not stored.exists()
    assert cli("voicemail", "list", "--account", account).code == 1


def test_a_code_is_typed_in_elsewhere(start, folder):
    import ssl
    import urllib.parse
    import urllib.request

    account = folder / "sign-on-carol.toml"
    process = start("sso", "sign-in", "--device-code", "--account", account, "--json")
    shown = json.loads(process.until("device_code"))
    form = {
        "user_code": shown["user_code"],
        "username": "carol",
        "password": secret(folder, "carol"),
    }
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    data = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(shown["verification_uri"], data, context=context) as page:
        assert b"Signed in" in page.read()
    ended = process.outcome()
    assert ended.code == 0, ended.err
    assert ended.summary["reason"] == "signed_in"


def test_without_a_browser_the_address_is_printed(cli, folder, monkeypatch):
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    ended = cli("sso", "sign-in", "--account", folder / "sign-on-dave.toml", "--timeout", "1")
    assert ended.code == 1
    assert "/authorize?response_type=code" in ended.out
    assert "did not come back within 1 s" in ended.err


def test_the_question_whether_a_server_has_single_sign_on(cli, folder):
    server = load_sign_on(folder / "sign-on-dave.toml").keeper.client.config.issuer[8:]
    asked = cli("sso", "check", server, "--ca", folder / "ca.crt", "--json")
    assert (asked.code, asked.summary["enabled"], asked.summary["version"]) == (0, True, "11.5")
    strange = cli("sso", "check", server, "--no-prompt", "--json")
    assert strange.code == 3


def test_a_file_without_a_sign_on_is_wrong_usage(cli, folder):
    for command in ("sign-in", "sign-out"):
        ended = cli("sso", command, "--account", folder / "dave.toml")
        assert ended.code == 2
        assert "no table [oauth] with a client_id" in ended.err


def test_what_cannot_be_revoked_is_deleted_all_the_same(cli, folder, by_curl, tmp_path):
    text = (folder / "sign-on-dave.toml").read_text()
    own = folder / "sign-on-broken.toml"
    own.write_text(
        text.replace("dave.json", "broken.json").replace(
            "[voicemail]", 'revocation_endpoint = "https://127.0.0.1:1/"\n[voicemail]'
        )
    )
    own.chmod(0o600)
    by_curl("dave")
    assert cli("sso", "sign-in", "--account", own).code == 0
    out = cli("sso", "sign-out", "--account", own)
    assert out.code == 0
    assert "were not revoked" in out.err
    assert not (folder / "tokens" / "broken.json").exists()
