"""Single sign-on: gets tokens from an authorization server, stores them and keeps them fresh.

`authorization` and `token` work without I/O: they make requests and judge redirects and answers.
`client` asks the authorization server, `redirect_listener` waits for the browser, `sign_in` joins
both.  `token_store` keeps tokens on disk or in a keyring, `stored_token` renews them there, and
`cluster` asks whether a cluster has single sign-on.  Tokens are used elsewhere: by
`softphone.account`, `softphone.messaging`, `softphone.contacts` and `softphone.voicemail`; servers
check them, we do not.  No implicit flow, no password grant; CUCM's own code flow is not public and
is not built.

RFC 6749, RFC 7009 (revocation), RFC 7636 (PKCE, S256 only), RFC 8252 (loopback redirect), RFC 8414
(metadata), RFC 8628 (device code), RFC 9207 (iss), RFC 9700 (best current practice).
"""

from __future__ import annotations

from softphone.oauth.client import DeviceCode, OAuthClient
from softphone.oauth.cluster import SingleSignOn, query_single_sign_on
from softphone.oauth.config import OAuthServerConfig
from softphone.oauth.sign_in import sign_in_with_browser, sign_in_with_device_code
from softphone.oauth.stored_token import TokenKeeper
from softphone.oauth.token import Token
from softphone.oauth.token_store import FileTokenStore, KeyringTokenStore, TokenStore

__all__ = [
    "DeviceCode",
    "FileTokenStore",
    "KeyringTokenStore",
    "OAuthClient",
    "OAuthServerConfig",
    "SingleSignOn",
    "Token",
    "TokenKeeper",
    "TokenStore",
    "query_single_sign_on",
    "sign_in_with_browser",
    "sign_in_with_device_code",
]
