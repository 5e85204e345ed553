"""`serve`: the free router as a local service for any OpenAI client, and OpenAI's batch API on top of jobs.

Imports: core, jobspec, answers, journal, service, run, job.
Pure: access, batches.batch_lines, batches.batch_record, call_state, chat_call, http_refusal, key_shape,
metrics, model_list, sse_chunks.
"""
