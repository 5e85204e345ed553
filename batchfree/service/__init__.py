"""The service that answers: `routing` among free models, the `openrouter` protocol, and the `quota` of the account.

Imports: core, jobspec, journal, emulator.
Pure: routing, quota.learned, quota.limits, openrouter.body, openrouter.broken_http, openrouter.complaints,
openrouter.evidence, openrouter.judge, openrouter.lenient, openrouter.literal_json, openrouter.masking,
openrouter.reply, openrouter.time_hints, openrouter.verdict_rules, openrouter.verdicts, openrouter.wire, own_endpoint,
reach.
"""
