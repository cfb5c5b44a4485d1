"""HTTP clients: requests over HTTPS, downloads of one file, and fetches of CRLs and OCSP answers.

One connection a request, bounded in size and time; no redirect is followed, no proxy and no cookie
is used.  A server's certificate is judged (`softphone.trust.verification`) before a byte of the
request leaves.  It serves no HTTP and does not read what it brings: `softphone.provisioning`,
`softphone.contacts` and `softphone.trust` do.

RFC 9110 and RFC 9112 on httpcore, RFC 7617 (Basic), RFC 5280 section 4.2.1.13 (CRLs), RFC 6960
appendix A.1 (OCSP over HTTP).
"""

from __future__ import annotations

from softphone.net.http.client import (
    Downloader,
    HttpsClient,
    HttpsEnvironment,
    HttpsLimits,
    HttpsRequest,
    ResponseTooLarge,
    basic_authorization,
    https_target,
)
from softphone.net.http.revocation_fetcher import RevocationFetcher

__all__ = [
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
