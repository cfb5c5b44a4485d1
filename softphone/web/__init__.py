"""Pages that a running command serves to the browser of the person who started it.

`SignIn` judges who may see them, `WebSite` serves files, answers and events by aiohttp (an extra),
`EventFeed` keeps a slow browser from holding up anything.  Figures for programs, which need no
sign-in and no aiohttp, are served by `softphone.monitoring`.

RFC 9110 (HTTP), RFC 6265 (cookies), the HTML standard's server-sent events, Content Security Policy
level 3, Fetch Metadata.
"""

from __future__ import annotations

from softphone.web.event_feed import EventFeed
from softphone.web.http_requests import quiet_logger, send_continue
from softphone.web.sign_in import SignIn, foreign, host_names
from softphone.web.web_site import BadRequest, SiteContent, WebSite, certificate_hosts

__all__ = [
    "BadRequest",
    "EventFeed",
    "SignIn",
    "SiteContent",
    "WebSite",
    "certificate_hosts",
    "foreign",
    "host_names",
    "quiet_logger",
    "send_continue",
]
