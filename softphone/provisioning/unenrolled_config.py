"""Fetches the configuration of a device that enrolls nowhere now: one outside, behind an edge.

CAPF and TVS are not reached from there.  Where trust lists of an earlier boot are held, they must
name the signer of the file, and the device's certificate may open an encrypted one.  Without lists
the file is taken as the edge's verified connection delivers it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from softphone.net import run_by_size
from softphone.provisioning.boot_step import OnBootStep
from softphone.provisioning.config_document import ConfigDocument
from softphone.provisioning.config_fetch import ConfigFetch, plain_is_due
from softphone.provisioning.config_store import ConfigStore
from softphone.provisioning.device_config import parse_device_config
from softphone.provisioning.file_client import FailoverFileClient, FileClient
from softphone.provisioning.file_name import check_device, plain_name
from softphone.security import KeyMaterial
from softphone.trust import (
    FileRefusalReason,
    FileRefused,
    Identity,
    IdentityStore,
    TrustLists,
    TrustListStore,
)


async def fetch_unenrolled_config(
    device: str,
    servers: Sequence[FileClient],
    store: str | os.PathLike[str] | None = None,
    *,
    passphrase: KeyMaterial | None = None,
    on_step: OnBootStep = lambda step: None,
) -> ConfigDocument:
    """Fetch the configuration; `store` is the folder of an earlier boot, if there is one.

    Its `basis` is None for a file that nobody has signed.  Raises FileMissing, FileRefused (also
    for an encrypted file that cannot be opened), TransportError and ConfigurationError.
    """
    client = FailoverFileClient(servers)
    check_device(device)
    lists = TrustLists()
    identities: tuple[Identity, ...] = ()
    if store is not None:
        lists = await asyncio.to_thread(TrustListStore(store).held)
        identities = _identities(IdentityStore(store, passphrase=passphrase), device)
    if store is None or plain_is_due(lists):
        return await _unsigned(device, client)
    fetch = ConfigFetch(device, client, ConfigStore(store), on_step)
    found = await fetch.fetch_config(lists, identities)
    if not found.config.full:
        found = await fetch.fetch_encrypted_config(lists, identities)
    found.config.check_usable()
    return found


async def _unsigned(device: str, client: FailoverFileClient) -> ConfigDocument:
    fetched = await client.fetch_file(plain_name(device))
    config = await run_by_size(len(fetched.data), parse_device_config, fetched.data)
    if not config.full:
        raise FileRefused(
            FileRefusalReason.CANNOT_DECRYPT,
            f"the configuration of {device} is encrypted to the device's certificate: boot it once"
            " inside, and give the folder of that boot",
        )
    config.check_usable()
    return ConfigDocument(fetched.name, config, fetched.data, notes=config.contradictions)


def _identities(store: IdentityStore, device: str) -> tuple[Identity, ...]:
    """Return the identities that files may be encrypted to: the current and the previous one."""
    found = (store.load(device), store.previous(device))
    return tuple(each for each in found if each is not None)
