"""What a browser sends is typed and bounded."""

from __future__ import annotations

import pytest

from softphone.errors import CertificateExpired, SoftphoneError
from softphone.ui.request_fields import (
    check_names,
    flag_field,
    number_field,
    sentence,
    text_field,
)
from softphone.web import BadRequest


def test_what_fits_is_given_back():
    given = {"a": "  x y ", "b": 7, "c": False}
    check_names(given, "a", "b", "c", "d")
    assert text_field(given, "a", most=6) == "x y"
    assert number_field(given, "b") == 7
    assert flag_field(given, "c") is False


@pytest.mark.parametrize("value", [None, 7, "", " ", "1234567", ["x"], {}])
def test_a_text_that_does_not_fit_is_refused(value):
    with pytest.raises(BadRequest, match=r"^a: "):
        text_field({"a": value}, "a", most=6)


@pytest.mark.parametrize("value", [None, True, -1, 1.0, "1", 10**9, float("inf")])
def test_a_number_that_does_not_fit_is_refused(value):
    with pytest.raises(BadRequest, match=r"^a: "):
        number_field({"a": value}, "a")


@pytest.mark.parametrize("value", [None, 1, 0, "true"])
def test_a_flag_that_does_not_fit_is_refused(value):
    with pytest.raises(BadRequest, match=r"^a: "):
        flag_field({"a": value}, "a")


def test_a_field_that_nobody_expects_is_refused():
    with pytest.raises(BadRequest, match="nobody expects"):
        check_names({"a": 1, "b": 2}, "a")


def test_an_error_is_told_with_what_to_do():
    assert sentence(SoftphoneError("it failed")) == "it failed"
    error = CertificateExpired("it has expired")
    assert sentence(error) == f"it has expired\n{error.hint}"
