"""A run at work: the task queue, the worker pool, the sender, what follows from an attempt, and the progress.

Imports: core, answers, journal, quality, service.
Pure: backoff, follow_up, outgoing, packer, refusals, summary, summary_html, tasks.
"""
