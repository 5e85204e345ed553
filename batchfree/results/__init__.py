"""The output table: input and journal, joined row by row, and its file."""

from batchfree.results.columns import check_names, columns
from batchfree.results.files import check_writable, write
from batchfree.results.table import table

__all__ = ["check_names", "check_writable", "columns", "table", "write"]
