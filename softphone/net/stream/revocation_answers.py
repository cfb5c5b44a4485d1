"""Fetches the revocation data that the gate asks for, and judges it without blocking the loop.

The sans-IO half is `softphone.trust.verification.gate`; here are its fetches, and the choice of
the thread that it runs in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias, runtime_checkable

from softphone.net.limits import TransportLimits
from softphone.net.off_loop import run_by_size
from softphone.trust import AskTvs, CertificateVerdict, Fetch, FetchFailed, FetchKind
from softphone.trust.verification import Examination
from softphone.trust.verification.revocation import load_validator, validator_is_loaded

Fetcher: TypeAlias = Callable[
    [Sequence[Fetch], float], Awaitable[Mapping[Fetch, bytes | FetchFailed]]
]
"""`await fetcher(wanted, within)` returns an answer for each fetch, or why there is none."""


@runtime_checkable
class CachingFetcher(Protocol):
    """A fetcher that caches answers, and drops those that could not be verified."""

    def drop_answers(self, fetches: Iterable[Fetch]) -> None:
        """Drop the cached answers to these fetches."""


async def fetch_answers(
    wanted: Sequence[Fetch], fetcher: Fetcher, limits: TransportLimits, tvs: AskTvs | None
) -> Mapping[Fetch, bytes | FetchFailed]:
    """The result of each fetch: by HTTP within one time limit, from TVS within its own."""
    answers: dict[Fetch, bytes | FetchFailed] = {}
    http_fetches = [fetch for fetch in wanted if fetch.kind is not FetchKind.TVS]
    if http_fetches:
        answers.update(await fetcher(http_fetches, limits.fetch_timeout))
    for question in wanted:
        if question.kind is FetchKind.TVS and tvs is not None:
            answers[question] = await tvs(question.request, limits.tvs_timeout)
    return answers


async def conclude_examination(
    examination: Examination, answers: Mapping[Fetch, bytes | FetchFailed], *, wall: datetime
) -> CertificateVerdict:
    """The verdict; large answers are judged in a thread, so that the loop goes on.

    The first time, the modules that judge are imported in a thread, too.  Raises
    CertificateRevoked, CertificateUntrusted.
    """
    size = sum(len(answer) for answer in answers.values() if isinstance(answer, bytes))
    heard = any(fetch.kind is not FetchKind.TVS for fetch in answers)
    if heard and not validator_is_loaded():
        await asyncio.to_thread(load_validator)
    return await run_by_size(size, examination.conclude, answers, wall=wall)


def drop_answers(fetcher: Fetcher, fetches: Iterable[Fetch]) -> None:
    """Drop these answers from the cache of `fetcher`, if it has one."""
    if isinstance(fetcher, CachingFetcher):
        fetcher.drop_answers(fetches)
