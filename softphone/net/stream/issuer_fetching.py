"""Fetches the issuers that a server has not shown, within one time limit.

The search is `softphone.trust.verification.issuer_search`; sizes, addresses and the cache are those
of the fetcher.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from softphone.net.stream.revocation_answers import Fetcher, drop_answers
from softphone.security import Relaxation
from softphone.trust import TlsSettings
from softphone.trust.verification.issuer_search import IssuerSearch

ISSUERS_WITHIN = 2.0
"""Seconds for all issuers of one path together."""


async def fetch_issuers(
    shown: Sequence[bytes], settings: TlsSettings, fetcher: Fetcher
) -> tuple[bytes, ...]:
    """The missing issuers (DER) of a chain as it was shown, as far as they were found in time."""
    search = IssuerSearch(
        shown,
        settings.aia_hosts,
        known=[each.subject for each in settings.store.anchors],
        local=Relaxation.LOCAL_REVOCATION in settings.allowed,
    )
    loop = asyncio.get_running_loop()
    deadline = loop.time() + ISSUERS_WITHIN
    while (wanted := search.wanted) and (within := deadline - loop.time()) > 0:
        answers = await fetcher(wanted, within)
        useless = [fetch for fetch in wanted if isinstance(answers.get(fetch), bytes)]
        if not search.receive(answers):
            drop_answers(fetcher, useless)
    return search.found
