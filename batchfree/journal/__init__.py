"""What a job remembers: attempts, the journal and its index, statistics, the run folder with its lock and event log.

Imports: core, answers.
Pure: attempts, checked_lines, digest_numbers, line_places, model_statistics, pack_statistics, question_state,
questions, rehearsals, request_statistics, text_set.
"""
