"""OpenAI's files and batches. Each batch is a job in a folder of its own, and continues when `serve` starts again."""
