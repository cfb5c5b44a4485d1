"""softphone.net.http."""

from __future__ import annotations

from softphone.net.http.client import (
    HttpsClient,
    HttpsLimits,
    HttpsRequest,
    HttpsSurroundings,
    basic,
    https_target,
)
from softphone.net.http.download import AnswerTooLarge, Downloader, DownloadLimits
from softphone.net.http.revocation_fetcher import RevocationFetcher

__all__ = [
    "AnswerTooLarge",
    "DownloadLimits",
    "Downloader",
    "HttpsClient",
    "HttpsLimits",
    "HttpsRequest",
    "HttpsSurroundings",
    "RevocationFetcher",
    "basic",
    "https_target",
]
