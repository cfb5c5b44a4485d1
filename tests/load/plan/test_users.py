"""Users: from files and templates, with identities of their own, and errors that name the line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.config import AccountConfig, CredentialConfig
from softphone.errors import ConfigurationError
from softphone.load.plan import UserSpec, config_of, read_users, users_of_template
from softphone.security import KeyMaterial


@pytest.fixture
def folder(tmp_path):
    for name in ("a.secret", "a.crt", "a.key", "b.secret"):
        (tmp_path / name).write_text("secret of a\n")
    return tmp_path


def base(**changes):
    return AccountConfig(**{"aor": "sip:base@example.test", "registrar": "sips:pbx.test"} | changes)


def test_a_csv_file_gives_each_user_its_identity(folder):
    file = folder / "users.csv"
    file.write_text(
        "aor, username, password_file, certificate, key\n"
        "sip:a@example.test, anna, a.secret, a.crt, a.key\n"
        "b,, b.secret,,\n"
    )
    first, second = read_users(file)
    assert first.username == "anna"
    assert first.certificate == str(folder / "a.crt")
    config = config_of(base(), first)
    assert (config.aor, config.tls.certificate) == ("sip:a@example.test", folder / "a.crt")
    assert config.credentials.username == "anna"
    assert config.credentials.password.reveal() == b"secret of a"
    assert config_of(base(), second).aor == "sip:b@example.test"
    assert config_of(base(), second).credentials.username == "b"


def test_a_toml_file_does_the_same(folder):
    file = folder / "users.toml"
    file.write_text('[[user]]\naor = "a"\npassword_file = "a.secret"\n[[user]]\naor = "b"\n')
    assert [user.aor for user in read_users(file)] == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("u.csv", "aor,colour\na,red\n", "u.csv:1.*colour.*known are aor"),
        ("u.csv", "aor,key\na,a.key\n", "u.csv:2.*go together"),
        ("u.csv", "aor,password_file\na,none.secret\n", "u.csv:2.*there is no file"),
        ("u.csv", "username\na\n", "u.csv:2.*aor is missing"),
        ("u.csv", "aor\na,b\n", "u.csv:2.*more values"),
        ("u.csv", "aor\n", "no user"),
        ("u.toml", "user = 3\n", r"\[\[user\]\]"),
        ("u.toml", "[[user]]\naor = 3\n", "user 1.*texts"),
        ("u.toml", "[[user\n", "no TOML"),
    ],
)
def test_what_is_wrong_names_its_place(folder, name, text, message):
    (folder / name).write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read_users(folder / name)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("users.toml", "user = [1]", "user 1: expected a table"),
        ("users.toml", f"user = {'[' * 9000}{']' * 9000}", "nested too deeply"),
        ("users.csv", f"aor\n{'x' * 200_000}", r":\d: this is no CSV: field larger"),
    ],
)
def test_what_no_user_looks_like_is_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read_users(tmp_path / name)


def test_a_missing_file_is_said_to_be(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        read_users(tmp_path / "none.csv")


def test_a_template_numbers_its_users(folder):
    for number in (1, 2):
        (folder / f"load0000{number}.secret").write_text("x")
    pattern = UserSpec("sip:load{n:05}@h.test", password_file=f"{folder}/{{user}}.secret")
    users = users_of_template(pattern, 2)
    assert [user.aor for user in users] == ["sip:load00001@h.test", "sip:load00002@h.test"]
    assert users[1].password_file == f"{folder}/load00002.secret"


@pytest.mark.parametrize("template", ["load", "load{", "load{x}", "load{0}", "load{n:q}"])
def test_a_template_that_cannot_be_filled_in_is_refused(template):
    with pytest.raises(ConfigurationError, match="template"):
        users_of_template(UserSpec(template), 2)


@pytest.mark.parametrize("count", [0, -1, 10_000_000])
def test_a_template_gives_a_sensible_number_of_users(count):
    with pytest.raises(ConfigurationError, match="users"):
        users_of_template(UserSpec("load{n}"), count)


def test_a_wrong_password_keeps_the_name_and_not_the_secret():
    secret = CredentialConfig("anna", KeyMaterial(b"right"))
    found = config_of(base(credentials=secret), UserSpec("a", wrong_password=True)).credentials
    assert found.username == "anna"
    assert found.password.reveal() != b"right"


def test_the_base_accounts_password_is_kept_for_another_name():
    secret = CredentialConfig("base", KeyMaterial(b"shared"), ("SHA-256",))
    found = config_of(base(credentials=secret), UserSpec("a", username="a")).credentials
    assert (found.username, found.password.reveal(), found.algorithms) == (
        "a",
        b"shared",
        ("SHA-256",),
    )


def test_algorithms_and_realms_are_a_users_own_or_the_base_accounts(tmp_path):
    (tmp_path / "users.csv").write_text(
        "aor,username,password_file,algorithms,realms\n"
        "sip:a@h,a,secret,SHA-256;MD5,Asterisk PBX; edge\n"
        "sip:b@h,b,secret,,\n"
    )
    (tmp_path / "secret").write_text("x\n")
    first, second = read_users(tmp_path / "users.csv")
    found = config_of(base(), first).credentials
    assert (found.algorithms, found.realms) == (("SHA-256", "MD5"), ("Asterisk PBX", "edge"))
    assert "--realms" in found.place
    kept = CredentialConfig("base", KeyMaterial(b"shared"), ("MD5",), ("trunk",))
    found = config_of(base(credentials=kept), second).credentials
    assert (found.algorithms, found.realms) == (("MD5",), ("trunk",))
    with pytest.raises(ConfigurationError, match="'SHA-1' is unknown"):
        config_of(base(), replace(first, algorithms="SHA-1"))


def test_an_empty_password_file_is_refused(tmp_path):
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(ConfigurationError, match="empty"):
        config_of(base(), UserSpec("a", password_file=str(tmp_path / "empty")))


def test_users_go_through_json():
    user = UserSpec("a", "b", "c", "d", "e", "f", "g", wrong_password=True)
    assert UserSpec.from_plain(user.to_plain()) == user
    assert UserSpec.from_plain(UserSpec("a").to_plain()) == UserSpec("a")
