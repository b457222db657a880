"""Where what was received has to go: rules, plan, duplicates, and the router that records it all in the ledger."""
