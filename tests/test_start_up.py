"""The name `Phone` brings no calls, no media and no device: they are loaded by their first use."""

from __future__ import annotations

import subprocess
import sys

import pytest

LATER = {
    "softphone.account",
    "softphone.call",
    "softphone.device",
    "softphone.media",
    "softphone.provisioning",
    "softphone.trust.capf",
    "softphone.trust.csr",
    "softphone.trust.keystore",
}


def loaded_by(program: str) -> set[str]:
    command = [sys.executable, "-c", f"{program}; import sys; print(*sys.modules)"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    return set(ended.stdout.split())


def test_the_name_of_the_phone_loads_neither_calls_nor_media_nor_devices():
    loaded = loaded_by("from softphone import Phone")
    assert "softphone.phone.phone" in loaded
    assert not loaded & LATER


def test_a_phone_that_boots_no_device_loads_nothing_of_one():
    loaded = loaded_by("from softphone import Phone; Phone()")
    assert {"softphone.account", "softphone.call"} <= loaded
    assert loaded & LATER == {"softphone.account", "softphone.call", "softphone.media"}


def test_a_name_that_trust_loads_later_is_that_of_its_package():
    loaded_by(
        "from softphone import trust; from softphone.trust import capf;"
        "assert trust.CapfClient is capf.CapfClient"
    )


def test_a_name_that_trust_has_not_is_an_attribute_error():
    import softphone.trust

    with pytest.raises(AttributeError, match=r"'softphone\.trust' has no attribute 'Nobody'"):
        softphone.trust.Nobody  # noqa: B018 - the look-up is what fails
