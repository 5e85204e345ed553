"""Files → rows. The input is checked before anything is sent, read in batches, and never held in memory as a whole."""

from batchfree.data.input.dataset import Dataset, open_dataset

__all__ = ["Dataset", "open_dataset"]
