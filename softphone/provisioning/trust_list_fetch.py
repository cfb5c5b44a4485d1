"""Fetches the trust lists and offers each to the store: the first step of a boot.

A missing or refused list leaves the stored one in use.  When no list is stored and no signer is
pinned, the first list is refused, and the error gives its signer's fingerprint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from softphone.errors import SoftphoneError, TransportError
from softphone.provisioning.boot_step import BootStep, OnBootStep, StepKind
from softphone.provisioning.fetch_error import FetchError, FileMissing
from softphone.provisioning.file_client import FailoverFileClient, FetchedFile
from softphone.provisioning.file_name import list_names
from softphone.trust import (
    Acceptance,
    Bootstrap,
    FileRefusalReason,
    FileRefused,
    ListKind,
    TrustBasis,
    TrustList,
    TrustLists,
    TrustListStore,
)

_WORDS = {
    TrustBasis.PIN: "its signer is the pinned one",
    TrustBasis.FIRST_USE: "the first that came, on nobody's word",
    TrustBasis.SERVER: "the first that came, over HTTPS from a verified server",
    TrustBasis.CTL: "the CTL vouches for its signer",
    TrustBasis.ITL: "the ITL vouches for its signer",
    TrustBasis.TVS: "TVS vouches for its signer",
}


@dataclass(frozen=True, slots=True)
class TrustListFetch:
    """Updates the trust lists of a device, the CTL before the ITL."""

    device: str
    servers: FailoverFileClient
    store: TrustListStore
    on_step: OnBootStep
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    confirm: Callable[[bytes], Awaitable[frozenset[bytes]]] | None = None
    """Asks TVS about the signer of a list (the argument) that no stored list vouches for.

    Returns the certificates (DER) that TVS confirms.
    """

    async def fetch_lists(self, *, wall: datetime) -> TrustLists:
        """Fetch and store the lists; returns the lists that are trusted now.

        Raises FileRefused when the only lists that came were refused and none is stored, when a
        pin was given and the server has no list, or when a stored list does not fit the pins;
        TransportError when no server answers or delivers and no list is stored; CertificateError.
        """
        await asyncio.to_thread(self.store.check_pins, self.bootstrap)
        refused: SoftphoneError | None = None
        for kind, names in list_names(self.device).items():
            try:
                fetched = await self._fetch(names)
            except FetchError as exc:
                self.on_step(BootStep(StepKind.LIST_REFUSED, str(exc), names[0]))
                refused = refused or exc
                continue
            except TransportError as exc:
                if await self._held() == TrustLists():
                    raise
                self.on_step(
                    BootStep(StepKind.SERVER_AWAY, f"the trust lists that are held: {exc}")
                )
                break
            if fetched is None:
                self._missing(kind, names[-1], (await self._held()).held(kind))
                continue
            try:
                self._accepted(fetched, await self._offer(kind, fetched, wall))
            except FileRefused as exc:
                if self.bootstrap == Bootstrap() and exc.refusal is FileRefusalReason.NO_ANCHOR:
                    raise  # without pin or first use, the other list cannot be the first either
                refused = refused or exc
                name, place, by = fetched.name, fetched.place, exc.fingerprint
                self.on_step(BootStep(StepKind.LIST_REFUSED, str(exc), name, place, by))
        held = await self._held()
        if held == TrustLists():
            self._check_none(refused)
        return held

    def _check_none(self, refused: SoftphoneError | None) -> None:
        """Raise unless the boot may go on without lists: an attacker on the path can hide them."""
        if refused is not None:
            raise refused
        if self.bootstrap.pins:
            raise FileRefused(
                FileRefusalReason.NO_ANCHOR,
                "the signer of the trust lists was named, and the server has no list: a file in"
                " clear is not taken in their place; if the cluster has none, boot without a pin",
            )

    async def _fetch(self, names: Sequence[str]) -> FetchedFile | None:
        """The first of these files that exists; an empty one counts as missing."""
        for name in names:
            try:
                fetched = await self.servers.fetch_file(name)
            except FileMissing:
                continue
            if fetched.data:
                return fetched
        return None

    async def _offer(self, kind: ListKind, fetched: FetchedFile, wall: datetime) -> Acceptance:
        accept_list = partial(
            self.store.accept_list,
            kind,
            fetched.data,
            wall=wall,
            bootstrap=self.bootstrap,
            requested=fetched.name,
        )
        try:
            return await asyncio.to_thread(accept_list)
        except FileRefused as exc:
            if exc.refusal is not FileRefusalReason.SIGNER_UNKNOWN or self.confirm is None:
                raise
            confirmed = await self.confirm(fetched.data)
            if not confirmed:
                raise
        return await asyncio.to_thread(accept_list, confirmed=confirmed)

    async def _held(self) -> TrustLists:
        """Load the stored lists in a thread: the store waits for its lock, and lists are long."""
        return await asyncio.to_thread(self.store.held)

    def _missing(self, kind: ListKind, name: str, held: TrustList | None) -> None:
        kept = "the one that is held stays" if held is not None else "there is none"
        sentence = f"{kind.value.upper()}: the server has no {name}; {kept}"
        self.on_step(BootStep(StepKind.LIST_MISSING, sentence, name))

    def _accepted(self, fetched: FetchedFile, accepted: Acceptance) -> None:
        same = accepted.basis is TrustBasis.UNCHANGED
        signer = accepted.trust_list.header.signer.subject
        if same:
            sentence = f"{fetched.name}: the list that is held, signed by {signer}"
        else:
            sentence = (
                f"{fetched.name}: signature good, by {signer} (SHA-256 {accepted.signer}):"
                f" {_WORDS[accepted.basis]}"
            )
        self.on_step(
            BootStep(
                StepKind.LIST_UNCHANGED if same else StepKind.LIST_ACCEPTED,
                sentence,
                fetched.name,
                fetched.place,
                accepted.signer,
                accepted.basis,
                accepted.notes,
            )
        )
