"""The rows of a job: read from files (`input`), rendered into requests (`prompts`), written as a table (`output`).

Imports: core, jobspec, answers, journal.
Pure: input.wrong_files, openai_batch, output.answer_types, output.columns, output.question_values,
prompts.repeatable, unknown_column.
"""
