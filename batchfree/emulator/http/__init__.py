"""The emulated OpenRouter as an HTTP service."""
