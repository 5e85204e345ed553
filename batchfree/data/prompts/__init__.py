"""A row → its request. Templates are compiled once and rendered for each row."""

from batchfree.data.prompts.compile import Prompts, compile_prompts

__all__ = ["Prompts", "compile_prompts"]
