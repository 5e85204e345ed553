"""Chooses the carrier: httpx for OpenRouter, aiohttp or wreq for an endpoint of the user's own.

Per request httpx costs 20 times the CPU of aiohttp. At 20 requests a minute that does not matter; on an endpoint of the
user's own it would be most of the cost of a row. wreq costs half of aiohttp. It is used where the extra `fast` has
installed it, but never for `https://`, where aiohttp knows the certificates of SSL_CERT_FILE and SSL_CERT_DIR. Each
library is imported only when it is used, since they load slowly.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from contextlib import suppress

from batchfree.core.errors import BatchfreeError
from batchfree.service.openrouter.carrier import Carrier


def open_carrier(
    base_url: str,
    headers: Mapping[str, str],
    connections: int,
    *,
    fast: bool,
    trust_env: bool,
    tells_begin: bool = False,
) -> Carrier:
    """A carrier for this number of connections at a time, which sends these headers with every request.

    `fast`: by wreq or aiohttp. `trust_env`: a proxy of the environment is used, always by httpx. `tells_begin`: calls
    `begun` of `Carrier.send`, which wreq can't do. Raises BatchfreeError if the environment names a proxy or
    certificates that can't be used.
    """
    try:
        if fast and not (trust_env and urllib.request.getproxies()):
            return _fast_carrier(base_url, headers, connections, tells_begin=tells_begin)
        from batchfree.service.openrouter.httpx_carrier import HttpxCarrier, NetworkTransport

        return HttpxCarrier(base_url, headers, NetworkTransport(connections, trust_env=trust_env))
    except ImportError as error:
        raise BatchfreeError(
            "the environment names a SOCKS proxy (ALL_PROXY, HTTPS_PROXY or HTTP_PROXY); "
            "install what it needs with `pip install 'httpx[socks]'`, or unset the variable"
        ) from error
    except ValueError as error:  # the message of httpx may hold the proxy's password
        raise BatchfreeError(
            "ALL_PROXY, HTTPS_PROXY or HTTP_PROXY names no proxy that can be used; write it as http://host:port"
        ) from error
    except OSError as error:
        raise BatchfreeError(
            f"the certificates that SSL_CERT_FILE or SSL_CERT_DIR names can't be used: {error}; "
            "name a file of PEM certificates, or unset the variable"
        ) from error


def _fast_carrier(base_url: str, headers: Mapping[str, str], connections: int, *, tells_begin: bool) -> Carrier:
    if base_url.startswith("http:") and not tells_begin:
        with suppress(ImportError):  # the extra `fast` is not installed
            from batchfree.service.openrouter.wreq_carrier import WreqCarrier

            return WreqCarrier(base_url, headers, connections)
    from batchfree.service.openrouter.aiohttp_carrier import AiohttpCarrier

    return AiohttpCarrier(base_url, headers, connections)
