"""The table `[oauth]` of a single sign-on, and which other tables take its tokens."""

from __future__ import annotations

import json
import time

import pytest

from softphone.config import OAuthConfig, TlsConfig
from softphone.config.account_file import load_account
from softphone.config.directory_file import load_directories
from softphone.config.messaging_file import load_messaging
from softphone.config.oauth_table import account_keeper, account_tokens, oauth_tls, token_keeper
from softphone.config.voicemail_file import load_voicemail
from softphone.errors import AuthenticationFailed, ConfigurationError, SingleSignOnRefused
from softphone.oauth import KeyringTokenStore, Token
from softphone.security import KeyMaterial, RevocationMode
from softphone.trust import Service

ISSUER = "https://login.example.test"
ACCOUNT = 'aor = "sip:anna@example.test"\nregistrar = "sips:pbx.example.test"\n'
SIGN_ON = f'[oauth]\nclient_id = "phone"\nissuer = "{ISSUER}"\nstore = "tokens/anna.json"\n'


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o700)
    (tmp_path / "ca.crt").write_text("any content\n")
    return tmp_path


def written(folder, *parts):
    path = folder / "anna.toml"
    path.write_text("".join(parts))
    path.chmod(0o600)
    return path


def token(lifetime=600.0, refresh=None):
    return Token(KeyMaterial(b"stored-token"), refresh, time.time(), lifetime, "", ISSUER, "phone")


async def test_an_account_takes_the_stored_token(folder):
    config = load_account(written(folder, ACCOUNT, SIGN_ON)).config
    assert config.oauth.store == folder / "tokens" / "anna.json"
    await account_keeper(config).store(token())
    given = json.loads(await account_tokens(config)(False))
    assert given["access_token"] == "stored-token"
    assert 590 < given["expires_in"] <= 600


async def test_an_account_without_a_token_fails_to_authenticate(folder):
    config = load_account(written(folder, ACCOUNT, SIGN_ON)).config
    with pytest.raises(AuthenticationFailed, match="there is no token: sign in") as failed:
        await account_tokens(config)(False)
    assert failed.value.status == 407


def test_other_sources_are_no_sign_on(folder):
    config = load_account(written(folder, ACCOUNT, '[oauth]\ncommand = ["give"]\n')).config
    assert account_tokens(config) is None


async def test_a_passphrase_encrypts_the_store(folder, monkeypatch):
    monkeypatch.setattr("softphone.oauth.token_store.ROUNDS", 1000)
    (folder / "anna.phrase").write_text("open sesame\n")
    (folder / "anna.phrase").chmod(0o600)
    config = load_account(
        written(folder, ACCOUNT, SIGN_ON, 'passphrase_file = "anna.phrase"\n')
    ).config
    await account_keeper(config).store(token())
    assert b"stored-token" not in (folder / "tokens" / "anna.json").read_bytes()
    assert b"stored-token" in await account_tokens(config)(False)


async def test_a_token_that_is_given_is_the_first_one(folder):
    (folder / "given.json").write_text('{"access_token": "given", "token_type": "Bearer"}')
    (folder / "given.json").chmod(0o600)
    more = 'token_file = "given.json"\nexpires_in = 300\n'
    config = load_account(written(folder, ACCOUNT, SIGN_ON, more)).config
    given = json.loads(await account_tokens(config)(False))
    assert given["access_token"] == "given"
    assert 295 < given["expires_in"] <= 300


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('client_id = "p"\nstore = "s"\n', "oauth.issuer: give the issuer"),
        (f'client_id = "p"\nissuer = "{ISSUER}"\n', "oauth.store: give store or keyring"),
        (f'client_id = "p"\nissuer = "{ISSUER}"\nstore = "s"\nkeyring = "k"\n', "one and only"),
        ('client_id = "p"\nissuer = "http://a.test"\nstore = "s"\n', ":5: oauth.issuer: .*https"),
        ('command = ["a"]\nissuer = "https://a.test"\n', ":5: oauth.issuer: it needs a client_id"),
        ('command = ["a"]\nkeyring = "k"\n', "oauth.keyring: it needs a client_id"),
        (f'client_id = "p"\nissuer = "{ISSUER}"\nstroe = "s"\n', "did you mean 'store'"),
        (
            f'client_id = "p"\nissuer = "{ISSUER}"\nkeyring = "k"\npassphrase_file = "ca.crt"\n',
            "needs no passphrase",
        ),
        (
            f'client_id = "p"\nissuer = "{ISSUER}"\nstore = "s"\n'
            'token_file = "ca.crt"\ncommand = ["a"]\n',
            "one source of the first token",
        ),
        (SIGN_ON.removeprefix("[oauth]\n") + '[oauth.tls]\nserver_name = "x"\n', "server_name"),
    ],
)
def test_a_wrong_table_is_told_with_its_place(folder, text, message):
    with pytest.raises(ConfigurationError, match=message):
        load_account(written(folder, ACCOUNT, "[oauth]\n", text))


def test_the_authorization_server_is_judged_without_the_accounts_pin():
    shared = TlsConfig(pin="sha256:" + "0" * 64)
    config = OAuthConfig(client_id="p", issuer=ISSUER, store="s")
    found = oauth_tls(config, shared, revocation=RevocationMode.HARD)
    assert (found.pin, found.service, found.revocation) == (
        None,
        Service.HTTPS,
        RevocationMode.HARD,
    )
    own = OAuthConfig(client_id="p", issuer=ISSUER, store="s", tls=shared)
    assert oauth_tls(own, TlsConfig()).pin == shared.pin


def test_a_keyring_is_named_in_the_table(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    made = []
    monkeypatch.setattr(KeyringTokenStore, "__init__", lambda self, *given: made.append(given))
    config = OAuthConfig(client_id="p", issuer=ISSUER, keyring="anna")
    token_keeper(config, oauth_tls(config, TlsConfig()))
    assert made == [("anna", tmp_path / "softphone")]


UNITY = '[voicemail]\nserver = "unity.example.test"\nuser = "anna"\n'
UDS = '[directory.people]\nkind = "uds"\nserver = "cucm.example.test"\n'
CHAT = '[im]\njid = "anna@example.test"\n'


async def test_the_other_tables_take_the_token_where_they_have_no_password(folder):
    path = written(folder, ACCOUNT, SIGN_ON, UNITY, UDS, CHAT)
    await account_keeper(load_account(path).config).store(token())
    mailbox = load_voicemail(path).config
    (people,) = load_directories(path).directories
    chat = load_messaging(path).config
    found = [await mailbox.token(False), await people.token(False)]
    assert [each.reveal() for each in found] == [b"stored-token"] * 2
    assert (await chat.token(False)).reveal() == b"stored-token"
    assert mailbox.password is people.password is chat.password is None


async def test_a_refused_token_is_renewed_or_a_person_is_asked(folder):
    path = written(folder, SIGN_ON, UNITY)
    fetch = load_voicemail(path).config.token
    await account_keeper(load_account(written(folder, ACCOUNT, SIGN_ON)).config).store(token())
    await fetch(False)
    with pytest.raises(SingleSignOnRefused, match="there is no other"):
        await fetch(True)


def test_a_password_of_its_own_counts_first(folder):
    password = 'user = "anna"\npassword = "secret"\n'
    text = SIGN_ON + UNITY + 'password = "secret"\n'
    assert load_voicemail(written(folder, text)).config.token is None
    (people,) = load_directories(written(folder, SIGN_ON, UDS, password)).directories
    assert (people.token, people.user) == (None, "anna")
    chat = load_messaging(written(folder, SIGN_ON, CHAT, 'password = "secret"\n')).config
    assert chat.token is None


def test_a_source_that_is_no_sign_on_is_not_shared(folder):
    with pytest.raises(ConfigurationError, match="give one of password"):
        load_voicemail(written(folder, ACCOUNT, '[oauth]\ncommand = ["a"]\n', UNITY))
