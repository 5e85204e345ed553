"""Base URLs of endpoints: their normal form, and whether their host is OpenRouter's."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

EMBEDDED = "embedded"
"""Instead of a base URL: the emulated OpenRouter inside the process."""
LLAMA = "llama"
"""Instead of a base URL: a model that llama.cpp runs on this machine."""
WORDS = (EMBEDDED, LLAMA)
"""The words that a job may write instead of a base URL."""
DEFAULT_PORTS = {"http": 80, "https": 443}


def split_url(url: str) -> SplitResult | None:
    """The parts of a URL; None if it cannot be parsed."""
    try:
        parts = urlsplit(url.strip())
        _ = parts.port, parts.hostname  # both are parsed only here, and may raise ValueError
    except ValueError:
        return None
    return parts


def host_of(parts: SplitResult | None) -> str:
    """The host in lower case, without brackets and without a final dot; empty if there is none."""
    return ((parts and parts.hostname) or "").rstrip(".").lower()


def normalize_base_url(base_url: str) -> str:
    """The normal form of a base URL: scheme and host in lower case, no default port, no final slash or dot.

    User, query and fragment are dropped. A text that is no URL is returned unchanged.
    """
    parts = split_url(base_url)
    if parts is None or not parts.hostname:
        return base_url
    host = host_of(parts)
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def is_loopback(base_url: str) -> bool:
    """Whether the host is this machine: `localhost`, a name under it, or an address of the loopback interface."""
    host = host_of(split_url(base_url))
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_unreachable(base_url: str) -> bool:
    """Whether the host is under `.invalid`, which never resolves (RFC 2606), so that nothing can travel there."""
    return host_of(split_url(base_url)).endswith(".invalid")


def is_openrouter(base_url: str) -> bool:
    """Whether the host is openrouter.ai or one of its subdomains, however it is written."""
    host = host_of(split_url(base_url))
    return host == "openrouter.ai" or host.endswith(".openrouter.ai")
