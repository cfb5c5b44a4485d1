"""Home Assistant with the integration, beside a lab that runs as a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import custom_components  # noqa: F401 - ours, before Home Assistant imports that of its own tests
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from softphone import Phone, load_account

DOMAIN = "softphone"


@pytest.fixture(autouse=True)
def _integrations(enable_custom_integrations, socket_enabled):
    """Custom integrations are loaded, and loopback may be used."""


@pytest.fixture(scope="session")
def lab(tmp_path_factory) -> Path:
    """The folder of a running lab."""
    folder = tmp_path_factory.mktemp("lab")
    command = [sys.executable, "-m", "softphone", "lab", "--dir", str(folder), "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        if not running.stdout.readline():
            pytest.fail(f"the lab did not start: {running.stderr.read()}")
        yield folder
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=20)


@pytest.fixture
def form(lab):
    """What a user enters for dave, who has a password."""
    return {
        "aor": "sip:dave@127.0.0.1",
        "registrar": load_account(lab / "dave.toml").config.registrar,
        "password": (lab / "dave.secret").read_text().strip(),
        "ca": str(lab / "ca.crt"),
    }


@pytest.fixture
async def entry(hass, form):
    """dave's account, loaded; unloaded at the end."""
    made = MockConfigEntry(domain=DOMAIN, title="dave", unique_id=form["aor"], data=form)
    made.add_to_hass(hass)
    assert await hass.config_entries.async_setup(made.entry_id)
    await hass.async_block_till_done()
    yield made
    await hass.config_entries.async_unload(made.entry_id)
    await hass.async_block_till_done()


@pytest.fixture
async def alice(lab):
    """alice's account, in a phone of its own."""
    async with Phone() as phone:
        yield await phone.register(load_account(lab / "alice.toml").config)
