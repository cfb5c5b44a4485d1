"""Plans of devices that boot from a lab."""

from __future__ import annotations

import asyncio

from softphone.provisioning import BootPlan, FileServerAddress, HttpsTrust, file_client_for
from softphone.security import KeyMaterial
from softphone.trust import Bootstrap, TrustStore


def plan_of(lab, device, store, scheme="http", **options):
    """The boot plan of a device in this lab: its signer pinned, its string given."""
    web = HttpsTrust(TrustStore.from_sources(str(lab.files.ca)))
    server = file_client_for(FileServerAddress(scheme, *lab.cluster.addresses[scheme]), web)
    string = lab.capf.strings.get(device)
    defaults = {
        "bootstrap": Bootstrap(frozenset({lab.cluster.files.fingerprint})),
        "string": None if string is None else KeyMaterial(string.encode()),
        "web": web,
    }
    return BootPlan(device, [server], store, **defaults | options)


async def event_of(account, kind, patience=10.0):
    """The next event of that kind, from the start."""

    async def wait():
        async for event in account.events():
            if isinstance(event, kind):
                return event
        raise AssertionError("the account was closed")

    return await asyncio.wait_for(wait(), patience)
