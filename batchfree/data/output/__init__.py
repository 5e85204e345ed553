"""Input and journal → the output table, joined row by row, and its file."""

from batchfree.data.output.columns import check_names
from batchfree.data.output.part_files import delete_stale_parts
from batchfree.data.output.place import check_place
from batchfree.data.output.table import DescribedRows, table
from batchfree.data.output.write import write

__all__ = ["DescribedRows", "check_names", "check_place", "delete_stale_parts", "table", "write"]
