"""Everything that knows OpenRouter's JSON: what is sent, what comes back, and the catalogue."""
