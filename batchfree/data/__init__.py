"""Rows in (`input`), rows as requests (`prompts`), the table out (`output`).

Imports: core, jobspec, journal.
Pure: output.row.
"""
