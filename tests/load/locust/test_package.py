"""What the package gives, and what it says without Locust."""

from __future__ import annotations

import pytest

from softphone.load import locust
from softphone.load.locust.steps import CallResult, StepFailed


def test_results_and_failures_need_no_locust():
    assert (locust.CallResult, locust.StepFailed) == (CallResult, StepFailed)


def test_without_locust_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(locust, "has_module", lambda name: False)
    with pytest.raises(ModuleNotFoundError, match=r"a user of Locust needs that: .*\[locust\]"):
        locust.__getattr__("SoftphoneUser")


def test_no_other_name_is_there():
    with pytest.raises(AttributeError, match="nothing"):
        locust.nothing  # noqa: B018
