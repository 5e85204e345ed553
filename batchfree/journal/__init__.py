"""The memory of a job: attempts, the journal file, its index, the run folder and its lock."""
