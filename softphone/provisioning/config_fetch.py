"""Fetches a device's configuration by the rules of its trust lists, and stores what is good.

Once a list names the signers of files, a file in clear is not requested.  The last accepted file
stays in use, and a step reports it, when the server sends an older one, or one signed over a
weaker hash.  The last good configuration is used while no server can be reached.  Any other
refused file ends the boot.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from softphone.errors import TransportError
from softphone.net import run_by_size
from softphone.provisioning.boot_step import BootStep, OnBootStep, StepKind
from softphone.provisioning.config_document import (
    ConfigDocument,
    last_accepted,
    open_last_good,
    open_plain,
    open_signed,
)
from softphone.provisioning.config_store import ConfigStore
from softphone.provisioning.device_config import DeviceConfig
from softphone.provisioning.fetch_error import FetchError, FileMissing
from softphone.provisioning.file_client import FailoverFileClient, FetchedFile
from softphone.provisioning.file_name import (
    DEFAULT_DEVICE,
    HARDWARE,
    plain_name,
    sealed_name,
    signed_name,
)
from softphone.trust import FileRefusalReason, FileRefused, Identity, Role, TrustLists


def plain_is_due(lists: TrustLists) -> bool:
    """Whether to request files in clear: no list is held, or protection is switched off."""
    off = lists.itl is not None and not lists.itl.protects
    return lists == TrustLists() or (off and not lists.certificates(Role.TFTP))


@dataclass(frozen=True, slots=True)
class ConfigFetch:
    """Fetches the configuration of one device, and reports each step to `on_step`."""

    device: str
    servers: FailoverFileClient
    store: ConfigStore
    on_step: OnBootStep

    async def fetch_config(
        self, lists: TrustLists, identities: Sequence[Identity]
    ) -> ConfigDocument:
        """Fetch the configuration, or the stub that announces an encrypted one.

        Returns the last good configuration when no server can be reached.  Raises FileMissing when
        the server does not know the device, FileRefused, FetchError, and TransportError when no
        server can be reached and none is stored.
        """
        try:
            if plain_is_due(lists):
                return await self._plain()
            return await self._signed(signed_name(self.device), lists, ())
        except FetchError:
            raise
        except TransportError as exc:
            return self._kept(lists, identities, exc)

    async def fetch_encrypted_config(
        self, lists: TrustLists, identities: Sequence[Identity]
    ) -> ConfigDocument:
        """Fetch the encrypted configuration.

        Raises as `fetch_config` does, and FileRefused (CANNOT_DECRYPT).
        """
        try:
            return await self._signed(sealed_name(self.device), lists, identities)
        except FetchError:
            raise
        except TransportError as exc:
            return self._kept(lists, identities, exc)

    def store_last_good(self, configuration: ConfigDocument) -> None:
        """Store a full configuration as the last good one.

        Raises FileRefused (NOT_FOR_US) for a stub, or when a SIP phone cannot work with it.
        """
        configuration.config.check_usable()
        if not configuration.config.full:
            raise FileRefused(
                FileRefusalReason.NOT_FOR_US, f"{configuration.name} holds no whole configuration"
            )
        self.store.store_last_good(self.device, configuration.data)

    def load_last_good(
        self, lists: TrustLists, identities: Sequence[Identity]
    ) -> DeviceConfig | None:
        """Load the last good configuration; None without one.  Raises FileRefused."""
        data = self.store.load_last_good(self.device)
        return None if data is None else open_last_good(data, self.device, lists, identities).config

    async def _plain(self) -> ConfigDocument:
        fetched = await self._fetch(plain_name(self.device), plain_name(DEFAULT_DEVICE))
        size = len(fetched.data)
        opened = await run_by_size(size, open_plain, fetched.data, fetched.name)
        self._verified(fetched, opened)
        return opened

    async def _signed(
        self, name: str, lists: TrustLists, identities: Sequence[Identity]
    ) -> ConfigDocument:
        default = signed_name(DEFAULT_DEVICE) if name == signed_name(self.device) else None
        if default is not None and await self._has_own(name, lists):
            default = None
        fetched = await self._fetch(name, default)
        kept = self.store.load_accepted(fetched.name)
        size = len(fetched.data) + len(kept or b"")
        last = await run_by_size(size, last_accepted, kept, fetched.name, lists)
        try:
            opened = await run_by_size(
                size, open_signed, fetched.data, fetched.name, lists, identities, last=last
            )
        except FileRefused as exc:
            old = (FileRefusalReason.OLDER, FileRefusalReason.DIGEST_DOWNGRADE)
            if exc.refusal not in old or kept is None:
                raise
            sentence = f"{exc}; the one that was accepted last stays in use"
            self.on_step(
                BootStep(StepKind.CONFIGURATION_REPLAYED, sentence, fetched.name, fetched.place)
            )
            return await run_by_size(size, open_signed, kept, fetched.name, lists, identities)
        self.store.store_accepted(fetched.name, fetched.data)
        self._verified(fetched, opened)
        return opened

    async def _has_own(self, name: str, lists: TrustLists) -> bool:
        """Whether a file of this name was accepted before, signed as the current lists name."""
        kept = self.store.load_accepted(name) or b""
        return await run_by_size(len(kept), last_accepted, kept, name, lists) is not None

    async def _fetch(self, name: str, default: str | None) -> FetchedFile:
        """Fetch the file; for a hardware phone whose file is missing, the default file.

        Raises FileMissing when there is neither.
        """
        try:
            return await self.servers.fetch_file(name)
        except FileMissing as missing:
            if default is not None and self.device.startswith(HARDWARE):
                # If that is missing too, the error about the device's own file says more.
                with contextlib.suppress(FileMissing):
                    return await self.servers.fetch_file(default)
            known = self.store.load_accepted(name) is not None
            note = f"; it had one before, which is kept in {self.store.folder}" if known else ""
            check = (
                "the server says that the device has an encrypted configuration: ask the"
                " administrator to save and apply the device's configuration again"
                if name == sealed_name(self.device)
                else f"check the device's name, {self.device}, letter by letter, and ask the"
                " administrator whether this cluster has that device, with SIP"
            )
            raise FileMissing(f"{missing}{note}: {check}") from missing

    def _verified(self, fetched: FetchedFile, opened: ConfigDocument) -> None:
        self.on_step(
            BootStep(
                StepKind.CONFIGURATION_VERIFIED,
                opened.words,
                fetched.name,
                fetched.place,
                opened.fingerprint,
                opened.basis,
                opened.notes,
            )
        )

    def _kept(
        self, lists: TrustLists, identities: Sequence[Identity], why: TransportError
    ) -> ConfigDocument:
        data = self.store.load_last_good(self.device)
        if data is None:
            raise why
        opened = replace(open_last_good(data, self.device, lists, identities), kept=True)
        self.on_step(
            BootStep(
                StepKind.CONFIGURATION_KEPT,
                f"the last good configuration is used: {why}",
                opened.name,
                "",
                opened.fingerprint,
                opened.basis,
            )
        )
        return opened
