"""YAML with line numbers, and its errors in plain words."""
