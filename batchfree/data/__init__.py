"""Rows in (`input`), rows as requests (`prompts`), the table out (`output`)."""
