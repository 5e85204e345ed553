"""OpenRouter's protocol: request bodies, the judge of responses, the client, and the catalogue of models."""
