"""The limits of the account: the rules, the ledger of all starts, and the rate limiter that waits for a start."""
