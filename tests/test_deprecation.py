"""A deprecated name warns the line that uses it, and says what to write instead."""

from __future__ import annotations

import pickle
import warnings

import pytest

from softphone import SoftphoneDeprecationWarning
from softphone.deprecation import warn_deprecated


def old_name() -> int:
    warn_deprecated("Phone.old_name", since="0.3", instead="Phone.new_name")
    return 7


def test_the_warning_says_since_when_and_what_instead():
    with pytest.warns(SoftphoneDeprecationWarning) as caught:
        assert old_name() == 7
    (warned,) = caught
    assert str(warned.message) == (
        "Phone.old_name is deprecated since softphone 0.3: use Phone.new_name"
    )
    assert (warned.message.since, warned.message.instead) == ("0.3", "Phone.new_name")


def test_it_names_the_line_of_the_caller():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        old_name()
    assert caught[0].filename == __file__


def test_it_is_an_error_where_the_filters_say_so():
    with warnings.catch_warnings():
        warnings.simplefilter("error", SoftphoneDeprecationWarning)
        with pytest.raises(SoftphoneDeprecationWarning):
            old_name()


def test_it_goes_to_another_process():
    warning = SoftphoneDeprecationWarning("x", since="0.2", instead="y")
    again = pickle.loads(pickle.dumps(warning))
    assert (str(again), vars(again)) == (str(warning), vars(warning))
