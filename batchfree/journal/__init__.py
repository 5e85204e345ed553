"""What a job remembers: attempts, the journal file, its index, statistics, the run folder and its lock.

Imports: core, answers.
Pure: attempts, checked_lines, digest_map, model_statistics, pack_statistics, questions, rehearsals, request_statistics.
"""
