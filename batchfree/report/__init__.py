"""The report on a job: one HTML file that says how far the answers can be trusted, and every figure as JSON.

`count_attempts` and `count_rows` fold journal and rows into the values of `figures`, `advice` draws conclusions from
them, and `collect` puts all of it together. `page` and `page_rows` make the HTML, `figures_json` makes the JSON, and
`write_report` writes the page.

Imports: core, jobspec, journal, quality, data, service, run, job.
Pure: advice, count_attempts, count_rows, figures, figures_json, pack_figures, page_rows, pilot_figures,
timeline.
"""
