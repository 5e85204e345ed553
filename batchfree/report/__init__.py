"""The report on a job: one HTML file that says how far the answers can be trusted, and every figure as JSON.

`count_attempts` and `count_rows` fold journal and rows into the figures of `figures`, `advice` draws conclusions from
them, `collect` puts all together, `page` and `page_rows` make the HTML, and `write_report` writes it.

Imports: core, jobspec, journal, quality, data, service, run, job.
Pure: advice, count_attempts, count_rows, figures, page_rows, timeline.
"""
