"""The rows of a job: read from files (`input`), rendered into requests (`prompts`), written as a table (`output`).

Imports: core, jobspec, journal.
Pure: openai_batch, output.answer_types, output.columns, unknown_column.
"""
