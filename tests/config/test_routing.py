"""Patterns of numbers, and the routes of an account file."""

from __future__ import annotations

import pytest

from softphone.config import RouteConfig, load_account
from softphone.config.routing import LONGEST_NUMBER, plain_number, route_to
from softphone.errors import ConfigurationError


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("+4930123", ["+4930123"], ["+49301234", "4930123", ""]),
        ("*21", ["*21"], ["21", "**21"]),
        ("sales", ["sales"], ["Sales", "sales2"]),
        ("_+4930X.", ["+493012", "+4930123456"], ["+49301", "+4931123", "+4930x12"]),
        ("_0Z!", ["01", "0123"], ["00", "0"]),
        ("_NXX", ["200", "999"], ["199", "20", "2000"]),
        ("_[15-7]0", ["10", "50", "70"], ["20", "40", "80"]),
        ("_.", ["7", "anything"], [""]),
        ("_!", ["", "7"], []),
    ],
)
def test_a_pattern_is_read_as_in_a_dial_plan(pattern, matching, others):
    route = RouteConfig(pattern)
    assert [number for number in (*matching, *others) if route.matches(number)] == matching


@pytest.mark.parametrize(
    "pattern", ["", "_", "_1.2", "_1!2", "_[", "_[]", "_1]", "_[7-5]", "_[a-]"]
)
def test_a_pattern_that_means_nothing_is_refused(pattern):
    with pytest.raises(ConfigurationError, match=r"routes\.number"):
        RouteConfig(pattern)


def test_a_number_without_end_matches_nothing():
    assert RouteConfig("_.").matches("1" * LONGEST_NUMBER)
    assert not RouteConfig("_.").matches("1" * (LONGEST_NUMBER + 1))


@pytest.mark.parametrize(
    ("user", "number"),
    [
        ("+49-30-123.4(5)", "+493012345"),
        ("+4930;phone-context=example.test", "+4930"),
        ("*21#", "*21#"),
        ("anna-maria", "anna-maria"),
        ("", ""),
    ],
)
def test_separators_and_parameters_are_no_part_of_a_number(user, number):
    assert plain_number(user) == number


def test_the_first_route_counts():
    routes = (RouteConfig("600", status=486), RouteConfig("_6XX"), RouteConfig("_."))
    assert route_to(routes, "600") is routes[0]
    assert route_to(routes, "601") is routes[1]
    assert route_to(routes[:2], "700") is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"status": 200}, "routes.status: 200 is no refusal"),
        ({"status": 486, "account": "sip:a@b.test"}, "give one"),
        ({"account": "nobody"}, "routes.account: 'nobody' is not the aor"),
    ],
)
def test_a_route_leads_to_one_place(values, words):
    with pytest.raises(ConfigurationError, match=words):
        RouteConfig("1", **values)


def test_routes_stand_in_the_account_file(tmp_path):
    path = tmp_path / "trunk.toml"
    path.write_text(
        'aor = "sip:trunk@pbx.test"\nlisten = "udp:127.0.0.1:0"\n'
        '[[routes]]\nnumber = "_+49301X."\naccount = "sip:sales@pbx.test"\n'
        '[[routes]]\nnumber = "_+4930."\n'
        '[[routes]]\nnumber = "_+1."\nstatus = 403\n'
    )
    first, second, third = load_account(path).config.routes
    assert (first.account, second.account, third.status) == ("sip:sales@pbx.test", None, 403)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('[[routes]]\naccount = "sip:a@b.test"\n', r":3: routes\[0\]: a number or pattern"),
        ('[[routes]]\nnumber = "1"\n[[routes]]\nnumber = "_"\n', r":6: routes.number: '_' is an"),
        ('[[routes]]\nnumber = "1"\nhandler = "x"\n', "there is no such key"),
    ],
)
def test_a_wrong_route_is_named_with_its_line(tmp_path, lines, words):
    path = tmp_path / "trunk.toml"
    path.write_text('aor = "sip:trunk@pbx.test"\nlisten = "udp:127.0.0.1:0"\n' + lines)
    with pytest.raises(ConfigurationError, match=words):
        load_account(path)
