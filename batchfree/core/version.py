"""The version of the package. Pure."""

__version__ = "0.1.0"
