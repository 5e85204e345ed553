"""Votes become an answer with its agreement and confidence; answers are scored against expected values.

Imports: core.
Pure: all.
"""
