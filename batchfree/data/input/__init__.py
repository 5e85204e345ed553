"""Rows in: the input scanned in batches, checked before anything is sent, never whole in memory."""

from batchfree.data.input.dataset import Dataset, open_dataset

__all__ = ["Dataset", "open_dataset"]
