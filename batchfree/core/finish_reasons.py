"""What a finish reason says about a reply, in the spelling of every provider.

Sources: the API references of OpenAI (chat completions and responses), Azure, Anthropic, Gemini and Vertex AI, Bedrock,
Cohere, Mistral, DeepSeek, Z.ai, DashScope, Qianfan, Hunyuan, xAI, watsonx, Reka, Aleph Alpha and AI21, and the source
code of vLLM, SGLang, TGI, llama.cpp, Ollama and LM Studio. OpenRouter passes the provider's own word on as
`native_finish_reason`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache


class Ending(StrEnum):
    """How a reply ended."""

    WHOLE = "whole"
    """The model stopped by itself or at a stop sequence, or it calls a tool."""
    CUT = "cut"
    """A limit of tokens or of the context ended the reply."""
    FILTERED = "filtered"
    """A content filter stopped or removed the reply."""
    REFUSED = "refused"
    """The model declined to answer."""
    BROKEN = "broken"
    """Something else broke the reply off: an error, a cancellation, a timeout, a lack of resources."""
    UNKNOWN = "unknown"
    """There is no finish reason, or one that is not in `WORDS`."""


WORDS = {
    Ending.WHOLE: """
        stop stop_sequence stop_sequence_reached stop_string_found stop_criteria_met stop_word word
        eos eos_token eos_found eot end end_turn end_of_turn end_of_text end_of_sequence
        complete completed finish finished done normal success
        tool_calls tool_call tool_use function_call function_calls
        """,
    Ending.CUT: """
        length max_length max_len length_limit length_reached length_capped
        max_tokens max_token max_new_tokens max_output_tokens max_output_token max_completion_tokens
        max_output_reached max_tokens_reached max_predicted_tokens_reached maximum_tokens token_limit
        token_limit_reached output_limit limit model_length truncated cut_off
        context context_length context_length_reached context_length_exceeded context_window_exceeded
        model_context_window_exceeded max_context max_context_length max_model_len error_limit
        """,
    Ending.FILTERED: """
        content_filter content_filtered content_filtering content_policy content_policy_violation content_moderation
        filter filtered safety unsafe safety_filter sensitive input_sensitive output_sensitive
        recitation prohibited_content blocklist blocked block spii
        image_safety image_prohibited_content image_recitation model_armor
        guardrail guardrails guardrail_intervened guardrail_blocked moderation flagged
        error_toxic toxic policy_violation risk_control data_inspection_failed
        """,
    Ending.REFUSED: "refusal refused",
    Ending.BROKEN: """
        error errored failed failure internal_error server_error engine_error exception eval_error error_finish
        abort aborted cancel cancelled canceled user_cancel user_cancelled client_cancelled user_stopped interrupted
        interrupt killed preempted disconnected connection_error connection_closed network_error
        timeout timed_out time_limit max_time max_time_reached deadline_exceeded
        insufficient_system_resource insufficient_resource insufficient_resources resource_exhausted out_of_memory
        overloaded rate_limit rate_limit_exceeded service_unavailable model_unloaded unload unloaded load
        incomplete not_finished unfinished in_progress queued partial pause_turn pause_run paused compaction
        turn_detected malformed_function_call function_call_filter unexpected_tool_call too_many_tool_calls
        malformed_tool_use malformed_model_output malformed_response invalid missing_thought_signature
        other image_other no_image language repetition
        """,
}
"""The known words. Case, hyphens, underscores and blanks do not matter."""
WORST_FIRST = (Ending.FILTERED, Ending.REFUSED, Ending.BROKEN, Ending.CUT, Ending.WHOLE)
"""If one reply has several reasons, the first in this order counts."""
SIGNS = re.compile(r"[\W_]+")
PREFIX = re.compile(r"^(finishreason|stopreason|donereason|reason)(?=.)")


def _bare(word: str) -> str:
    """The word without case, signs and the name of its type: `FinishReason.MAX_TOKENS` is `maxtokens`."""
    return PREFIX.sub("", SIGNS.sub("", word.casefold()))


ENDINGS = {_bare(word): ending for ending, words in WORDS.items() for word in words.split()}


@lru_cache(maxsize=256)
def ending_of(*reasons: str | None) -> Ending:
    """How a reply with these finish reasons ended. The provider's reason counts as much as the service's."""
    found = {ENDINGS.get(part) for reason in reasons if reason for part in _parts(reason)}
    return next((ending for ending in WORST_FIRST if ending in found), Ending.UNKNOWN)


def _parts(reason: str) -> Iterator[str]:
    """The reason as a whole, and the parts of one such as `content_filter: SAFETY`."""
    yield _bare(reason)
    if ":" in reason:
        yield from (_bare(part) for part in reason.split(":"))
