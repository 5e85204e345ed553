"""OpenAI's files and batches: each batch is a job in a folder of its own, and goes on when `serve` starts again."""
