"""The memory of a job: attempts, the journal file, its index, the run folder and its lock.

Imports: core, answers.
Pure: attempts, digest_map, pack_statistics, questions.
"""
