"""The run itself: task queue, worker pool, sender, what follows from an attempt, progress."""
