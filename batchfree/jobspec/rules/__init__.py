"""Checks of one part of the job spec each."""
