"""HTTP clients: requests over HTTPS, downloads of one file, and fetches of CRLs and OCSP answers.

Each request has its own connection, bounded in size and time; redirects, proxies and cookies are
not used.  A server's certificate is judged (`softphone.trust.verification`) before any byte of the
request is sent.  The content fetched is parsed by its users: `softphone.provisioning`,
`softphone.contacts` and `softphone.trust`.

RFC 9110 and RFC 9112 on httpcore, RFC 7617 (Basic), RFC 5280 section 4.2.1.13 (CRLs), RFC 6960
appendix A.1 (OCSP over HTTP).
"""

from __future__ import annotations

from softphone.net.http.client import (
    AdmitServer,
    Downloader,
    HttpsClient,
    HttpsEnvironment,
    HttpsLimits,
    HttpsRequest,
    HttpsTunnel,
    ResponseTooLarge,
    WebClient,
    basic_authorization,
    bearer_authorization,
    https_target,
    web_target,
)
from softphone.net.http.repository_fetcher import (
    RepositoryFetcher,
    RepositoryLimits,
    is_public_address,
)
from softphone.net.http.revocation_fetcher import RevocationFetcher

__all__ = [
    "AdmitServer",
    "Downloader",
    "HttpsClient",
    "HttpsEnvironment",
    "HttpsLimits",
    "HttpsRequest",
    "HttpsTunnel",
    "RepositoryFetcher",
    "RepositoryLimits",
    "ResponseTooLarge",
    "RevocationFetcher",
    "WebClient",
    "basic_authorization",
    "bearer_authorization",
    "https_target",
    "is_public_address",
    "web_target",
]
