"""A run at work: task queue, worker pool, sender, what follows from an attempt, progress.

Imports: core, answers, journal, quality, service.
Pure: backoff, follow_up, outgoing, packer, refusals, summary, summary_html, tasks.
"""
