"""Request parameters that batchfree never sends, and the plugins that cost nothing.

Some are decided by the job. Others could cost money or reach models that are not free (OpenRouter docs: model
fallbacks, presets, web search, PDF inputs).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_OTHER_MODEL = "it could reach a model that router.route does not allow; leave it out"
_PAID_SEARCH = "it switches on web search, which costs money even with free models; leave it out"
_HEADERS = "a job can't set headers; leave it out"
_STREAM = "answers are read whole, never as a stream; leave it out"

NEVER_SENT: Mapping[str, str] = MappingProxyType(
    {
        "model": "write the model under router.route",
        "models": "router.route and router.fallbacks choose the models",
        "messages": "write messages under `messages` or `prompt`, beside `request`",
        "stream": _STREAM,
        "stream_options": _STREAM,
        "fallbacks": _OTHER_MODEL,
        "preset": _OTHER_MODEL,
        "route": "this old key belongs to `models`; use router.route and router.fallbacks",
        "prompt": "write the prompt under `prompt`, beside `request`",
        "web_search_options": _PAID_SEARCH,
        "web_search": _PAID_SEARCH,
        "functions": "this old key is not read; write the functions under `tools`",
        "function_call": "this old key is not read; write `tool_choice`",
        "extra_body": "write its keys directly under `request`",
        "extra_headers": _HEADERS,
        "headers": _HEADERS,
        "base_url": "write the address under endpoint.base_url",
        "timeout": "write the seconds of a whole call under retry.timeout",
    }
)
"""Parameter → what a user does instead."""

DECIDED_HERE = frozenset({"model", "messages", "stream", "stream_options"})
"""Those that the body of an OpenAI batch request may contain. They are ignored there."""

FREE_PLUGINS = frozenset({"response-healing", "context-compression"})
"""Plugins without a price. All others cost money or choose models by themselves."""

FREE_PDF_ENGINE = "cloudflare-ai"
"""The engine of the plugin `file-parser` that costs nothing. Its default engine costs money."""
