"""Base URLs of endpoints: their one spelling, and whose host they name."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

EMBEDDED = "embedded"
"""Stands for a base URL: the emulated OpenRouter inside the process."""
DEFAULT_PORTS = {"http": 80, "https": 443}


def split_url(url: str) -> SplitResult | None:
    """The parts of a URL; None if it cannot be parsed."""
    try:
        parts = urlsplit(url.strip())
        _ = parts.port, parts.hostname  # both raise ValueError late
    except ValueError:
        return None
    return parts


def host_of(parts: SplitResult | None) -> str:
    """The host in lower case, without brackets and without the dot of a fully qualified name."""
    return ((parts and parts.hostname) or "").rstrip(".").lower()


def normalize_base_url(base_url: str) -> str:
    """The one spelling of a base URL: lower-case scheme and host, no default port, no trailing slash or dot.

    User, query and fragment are dropped. A text that is no URL comes back as it is.
    """
    parts = split_url(base_url)
    if parts is None or not parts.hostname:
        return base_url
    host = host_of(parts)
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def is_openrouter(base_url: str) -> bool:
    """Whether the host is openrouter.ai or one of its subdomains, in whatever spelling."""
    host = host_of(split_url(base_url))
    return host == "openrouter.ai" or host.endswith(".openrouter.ai")
