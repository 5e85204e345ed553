"""The service that answers: routing among free models, the OpenRouter protocol, the quota of the account."""
