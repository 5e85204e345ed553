"""The limits of the account: pure rules, the ledger of starts, and the rate limiter that waits."""
