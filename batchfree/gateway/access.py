"""Who may use the server: the programs of this machine, but no web page from another origin.

A web page can send requests to 127.0.0.1. The browser names the page's origin in `Origin` and `Sec-Fetch-Site` (Fetch
standard; W3C, "Fetch Metadata Request Headers"). A page may also make its own host name resolve to 127.0.0.1 (DNS
rebinding). Then `Host` holds that name. No response has a CORS header, so no such page could read a response.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from batchfree.core.urls import host_of, split_url
from batchfree.gateway.http_refusal import HttpRefusal

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""The hosts on which the server listens without a key, and the names that `Host` may have there."""
WATCHING = frozenset({"/", "/status", "/metrics"})
"""Paths that a person opens in a browser. They also take the key as the password of HTTP Basic authentication."""
FORMS = ("multipart/form-data", "text/plain")
"""Content types that a form of any web page can send with any text (HTML standard, `enctype`)."""
TAKES_FORMS = "/files"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRules:
    """`host` is the address on which the server listens; `key` is what clients must send, None without a key."""

    host: str
    key: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the server."""
        return self.host in LOOPBACK


def access_refusal(method: str, path: str, headers: Mapping[str, str], rules: AccessRules) -> HttpRefusal | None:
    """Why a request may not come in; None if it may. The names of `headers` are in lower case."""
    host = _host(headers.get("host", ""))
    if rules.is_local and host not in LOOPBACK:
        return _refuse(403, f"this server is called localhost or 127.0.0.1, not {host[:100] or 'nothing'}")
    if _is_from_elsewhere(method, path, headers, host):
        return _refuse(403, "pages of other origins may not use this server")
    if rules.key is not None and not _has_key(path, headers, rules.key):
        refusal = _refuse(401, "send the key of this server, as BATCHFREE_SERVE_KEY holds it, as your API key")
        return refusal.with_header("WWW-Authenticate", 'Basic realm="batchfree"') if path in WATCHING else refusal
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if method == "POST" and kind in FORMS and not path.endswith(TAKES_FORMS):
        return _refuse(415, f"send JSON with the header Content-Type: application/json, not {kind}")
    return None


def _host(value: str) -> str:
    """The host of a `Host` header, without its port."""
    return host_of(split_url(f"http://{value}")) if value and "@" not in value and "/" not in value else ""


def _is_from_elsewhere(method: str, path: str, headers: Mapping[str, str], host: str) -> bool:
    """Whether a page of another origin sends the request. A person may follow a link to the page `/`."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
    if origin is not None and (not host or host_of(split_url(origin)) != host):
        return True
    is_link = method == "GET" and path == "/" and headers.get("sec-fetch-mode") == "navigate"
    return site not in ("none", "same-origin") and not is_link


def _has_key(path: str, headers: Mapping[str, str], key: str) -> bool:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    sent = value.strip()
    if scheme.lower() == "basic" and path in WATCHING:
        sent = _password(sent)
    elif scheme.lower() != "bearer":
        sent = headers.get("x-api-key", "")
    return hmac.compare_digest(sent.encode("utf-8", "replace"), key.encode("utf-8", "replace"))


def _password(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode("utf-8", "replace").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _refuse(status: int, message: str) -> HttpRefusal:
    return HttpRefusal(status=status, message=message)
