"""A row → what is asked: templates compiled once, then rendered row by row."""

from batchfree.data.prompts.compile import Prompts, compile_prompts

__all__ = ["Prompts", "compile_prompts"]
