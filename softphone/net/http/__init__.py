"""softphone.net.http."""

from __future__ import annotations

from softphone.net.http.client import (
    HttpsClient,
    HttpsEnvironment,
    HttpsLimits,
    HttpsRequest,
    basic_authorization,
    https_target,
)
from softphone.net.http.download import Downloader, DownloadLimits, ResponseTooLarge
from softphone.net.http.revocation_fetcher import RevocationFetcher

__all__ = [
    "DownloadLimits",
    "Downloader",
    "HttpsClient",
    "HttpsEnvironment",
    "HttpsLimits",
    "HttpsRequest",
    "ResponseTooLarge",
    "RevocationFetcher",
    "basic_authorization",
    "https_target",
]
