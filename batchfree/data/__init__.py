"""Rows in (`input`), rows as requests (`prompts`), the table out (`output`).

Imports: core, jobspec, journal.
Pure: openai_batch, output.answer_types, output.columns, unknown_column.
"""
