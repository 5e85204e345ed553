"""Run whole datasets through free language models: paced, resumable, every row with the model that answered it."""

__version__ = "0.1.0"
