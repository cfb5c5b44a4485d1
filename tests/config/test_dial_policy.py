"""What a dial policy makes of numbers: how they are read, and which of them may be called."""

from __future__ import annotations

import pytest

from softphone.config import DialPolicyConfig, load_account
from softphone.config.dial_policy import shown_number
from softphone.errors import ConfigurationError, DialRefused
from softphone.sip import parse_uri
from softphone.sip.message.uri import escape_user

GERMAN = {"country": "49"}
AMERICAN = {"country": "1", "international_prefix": "011", "national_prefix": "1"}


def judged(target, *, connected=False, **rules):
    """The judgement of a target: a URI, or a user of the account's own domain."""
    uri = parse_uri(target if ":" in target else f"sip:{target}@example.test")
    return DialPolicyConfig(**rules).judge(uri, domain="example.test", connected=connected)


def rule(target, **rules):
    """The rule that refuses a target."""
    with pytest.raises(DialRefused) as caught:
        judged(target, **rules)
    return caught.value.rule


@pytest.mark.parametrize(
    "written",
    [
        "+49301234567",
        "0049301234567",
        "0301234567",
        "+49-30-123.45(67)",
        "%2B49301234567",
        "(030)123-4567",
        "tel:+49-30-1234567",
        "sip:+49301234567@other.test;user=phone",
        "sips:0301234567@example.test",
    ],
)
def test_a_number_is_read_as_the_same_however_it_is_written(written):
    rules = {**GERMAN, "allow": ("+49301234567",)}
    assert judged(written, **rules).shown
    assert rule(written, **rules, deny=("+49301234567",)) == "deny"


@pytest.mark.parametrize(
    ("written", "rules"),
    [
        ("+12125550123", AMERICAN),
        ("12125550123", AMERICAN),
        ("2125550123", AMERICAN),
        ("011492125550", {**AMERICAN, "international": True}),
        ("912125550123", {**AMERICAN, "outside_line": "9"}),
        ("00301234567", {**GERMAN, "outside_line": "0"}),
        ("4930123456", {"country": "49", "international_prefix": "", "national_prefix": ""}),
        ("612345678", {"country": "34", "national_prefix": ""}),
    ],
)
def test_prefixes_are_those_of_the_accounts_server(written, rules):
    assert judged(written, **rules).price == 0.0


@pytest.mark.parametrize(
    "written",
    [
        "1-800-FLOWERS",  # letters are no digits
        "30123456",  # neither prefix: another place may read it otherwise
        "+4930123456789012",  # 16 digits
        "+1234",
        "+0049301234567",
        "+11900555123",  # a trunk prefix of North America behind its country code
        "*72019001234567",
        "٠٣٠١٢٣٤٥",  # digits, and not ours
        "urn:service:sos",
        "alice",
        "sip:example.test",
    ],
)
def test_what_is_no_telephone_number_is_refused(written):
    target = written if ":" in written else f"sip:{escape_user(written)}@example.test"
    with pytest.raises(DialRefused) as caught:
        judged(target, **GERMAN, international=True, premium=True)
    assert caught.value.rule == "internal"


@pytest.mark.parametrize(
    "written",
    [
        "+4930123456;ext=9",
        "%2B4930123456%3Bphone-context=x",
        "tel:123;phone-context=+4930",
        "5" * 200,
    ],
)
def test_a_number_with_parameters_or_without_end_is_refused(written):
    assert rule(written, **GERMAN) == "number"


@pytest.mark.parametrize(
    ("written", "rules"),
    [
        ("112", GERMAN),
        ("110", GERMAN),
        ("0112", {**GERMAN, "outside_line": "0"}),
        ("+49112", GERMAN),
        ("0049110", GERMAN),
        ("112", {**GERMAN, "internal": ("_XXX",)}),
        ("911", AMERICAN),
        ("9911", {**AMERICAN, "outside_line": "9", "internal": ("_XXXX",)}),
        ("999", {"country": "44"}),
        ("112", {}),
    ],
)
def test_emergency_numbers_are_refused_unless_the_policy_has_them(written, rules):
    assert rule(written, **rules) == "emergency"
    assert judged(written, **{**rules, "emergency": True, "allow": ("+1",)}).emergency


@pytest.mark.parametrize(
    ("written", "rules"),
    [
        ("0900123456", GERMAN),
        ("+490900123456", GERMAN),
        ("00499001234567", GERMAN),
        ("19005550123", AMERICAN),
        ("+449098790123", {"country": "44"}),
        ("+78809123456", {"country": "7"}),
        ("+8816123456789", {"country": "49", "international": True}),
        ("+979123456789", {"country": "49", "international": True}),
        ("0033899123456", {"country": "49", "international": True}),
    ],
)
def test_premium_numbers_of_every_country_are_refused_unless_the_policy_has_them(written, rules):
    assert rule(written, **rules) == "premium"
    assert judged(written, **{**rules, "premium": True, "international": True}).shown


@pytest.mark.parametrize(
    ("written", "rules"),
    [
        ("+33123456789", GERMAN),
        ("0033123456789", GERMAN),
        ("+18765550123", AMERICAN),  # Jamaica has the country code of the USA
        ("8765550123", AMERICAN),
        ("+77012345678", {"country": "7"}),
        ("+49301234567", {}),
    ],
)
def test_other_countries_are_refused_unless_the_policy_has_them(written, rules):
    assert rule(written, **rules) == "international"
    assert judged(written, **rules, international=True).shown


def test_allow_and_deny_are_read_on_the_international_form():
    rules = {**GERMAN, "allow": ("_+4930.", "_+4940."), "deny": ("_+493099.",)}
    assert judged("030123456", **rules)
    assert rule("089123456", **rules) == "allow"
    assert rule("0309912345", **rules) == "deny"
    assert rule("600", internal=("_6XX",), deny=("600",)) == "deny"


def test_internal_numbers_codes_and_names_are_of_the_own_domain():
    rules = {**GERMAN, "internal": ("_6XX", "_*86XX", "alice", "bob@other.test")}
    for target in ("600", "*8600", "alice", "sip:bob@other.test", "sip:bob@OTHER.test:5070"):
        assert judged(target, **rules).price == 0.0
    for target in ("700", "sip:600@other.test", "bob", "*72600", "sip:alice@other.test"):
        assert rule(target, **rules) == "internal"


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("0900123456", "premium"),
        ("+33123456789", "international"),
        ("12345678", "internal"),
        ("*720900123456", "internal"),
        ("%D9%A0" * 8, "internal"),
    ],
)
def test_no_pattern_makes_a_telephone_number_internal(written, why):
    assert rule(written, **GERMAN, internal=("_.",)) == why


@pytest.mark.parametrize(
    ("written", "why"),
    [("0900123456", "premium"), ("+33123456789", "international"), ("112", "emergency")],
)
def test_the_contact_of_a_far_end_may_be_a_name_and_no_forbidden_number(written, why):
    for name in ("asterisk", "3f5c8d21-77", "600", "1234567a"):
        assert judged(name, connected=True, **GERMAN).price == 0.0
    assert judged("sip:192.0.2.1:5070", connected=True, **GERMAN).price == 0.0
    with pytest.raises(DialRefused) as caught:
        judged(written, connected=True, **GERMAN)
    assert caught.value.rule == why


@pytest.mark.parametrize(
    "written",
    ["0049900123456p", "0900123456w1", "p0900123456", "0900123456x1", "0900P123456", "0900123456t"],
)
@pytest.mark.parametrize("rules", [{}, {"internal": ("_.",)}])
def test_a_number_with_pauses_is_no_name_of_a_far_end(written, rules):
    with pytest.raises(DialRefused) as caught:
        judged(written, connected=not rules, **GERMAN, **rules)
    assert caught.value.rule == "internal"
    # Names of phones, with letters that no gateway dials, or in front.
    for name in ("t12345678", "sep001122334455", "4b6c9e12-0011", "600p"):
        assert judged(name, connected=True, **GERMAN).price == 0.0


@pytest.mark.parametrize(
    ("written", "why"), [("112p", "emergency"), ("w110", "emergency"), ("666p1", "deny")]
)
def test_a_short_number_before_a_pause_is_judged_by_itself(written, why):
    with pytest.raises(DialRefused) as caught:
        judged(written, connected=True, **GERMAN, deny=("666",))
    assert caught.value.rule == why


def test_the_longest_prefix_says_the_price_and_with_a_budget_one_must():
    rates = {"+49": 0.01, "+4915": 0.1}
    budget = {"budget_per_day": 5.0, "call_duration": 600.0}
    assert judged("030123456", **GERMAN, rates=rates).price == 0.01
    assert judged("01511234567", **GERMAN, rates=rates).price == 0.1
    abroad = {**GERMAN, "international": True, "rates": rates}
    assert judged("+33123456789", **abroad).price == 0.0
    assert rule("+33123456789", **abroad, **budget) == "rates"


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+49 30 1234567", "+493***67"),
        ("600", "600"),
        ("12345", "12345"),
        ("w19005551234", "w190***34"),
        ("a\nb", "a?b"),
        ("", "an address"),
        ("+" + "4" * 100, "+444***44"),
    ],
)
def test_a_number_is_shown_without_its_middle(number, shown):
    assert shown_number(number) == shown


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("country", {"country": "+49"}),
        ("country", {"country": "049"}),
        ("country", {"country": 49}),
        ("outside_line", {"outside_line": "x"}),
        ("internal", {"internal": ("_6[",)}),
        ("allow", {"allow": ("_",)}),
        ("deny", {"deny": ("",)}),
        ("calls_per_hour", {"calls_per_hour": -1}),
        ("calls_at_once", {"calls_at_once": 10**7}),
        ("call_duration", {"call_duration": float("nan")}),
        ("budget_per_hour", {"budget_per_hour": 1.0}),
        ("budget_per_day", {"budget_per_day": 1.0}),
        ("budget_per_day", {"budget_per_day": -1.0, "call_duration": 60.0}),
        ("rates", {"rates": {"49": 1.0}}),
        ("rates", {"rates": {"+49": True}}),
        ("rates", {"rates": {"+49": -0.1}}),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(key, values):
    with pytest.raises(ConfigurationError, match=rf"dial_policy\.{key}"):
        DialPolicyConfig(**values)


ACCOUNT = """\
aor = "sip:bot@example.test"
registrar = "sips:pbx.example.test"
[dial_policy]
country = "49"
allow = ["_+49."]
calls_per_hour = 30
call_duration = 600
budget_per_day = 20
[dial_policy.rates]
"+49" = 0.01
"+4915" = 1
"""


def test_prefixes_may_be_blank_in_a_file(tmp_path):
    path = tmp_path / "bot.toml"
    path.write_text(ACCOUNT.replace("[dial_policy]", '[dial_policy]\nnational_prefix = ""'))
    assert load_account(path).config.dial_policy.national_prefix == ""


def test_an_account_file_has_the_policy(tmp_path):
    path = tmp_path / "bot.toml"
    path.write_text(ACCOUNT)
    assert load_account(path).config.dial_policy == DialPolicyConfig(
        country="49",
        allow=("_+49.",),
        calls_per_hour=30,
        call_duration=600.0,
        budget_per_day=20.0,
        rates={"+49": 0.01, "+4915": 1.0},
    )
    path.write_text(ACCOUNT.partition("[dial_policy]")[0])
    assert load_account(path).config.dial_policy is None


@pytest.mark.parametrize(
    ("before", "after", "line", "key"),
    [
        ("calls_per_hour", "calls_an_hour", 6, "dial_policy.calls_an_hour"),
        ("budget_per_day = 20", 'budget_per_day = "20"', 8, "dial_policy.budget_per_day"),
        ('"+4915" = 1', '"+4915" = "1"', 11, "dial_policy.rates.+4915"),
        ("_+49.", "_+49[", 5, "dial_policy.allow"),
        ("call_duration = 600\n", "", 7, "dial_policy.budget_per_day"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_line(tmp_path, before, after, line, key):
    path = tmp_path / "bot.toml"
    path.write_text(ACCOUNT.replace(before, after))
    with pytest.raises(ConfigurationError) as caught:
        load_account(path)
    assert str(caught.value).startswith(f"{path}:{line}: {key}")
