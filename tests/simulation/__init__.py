"""Days and weeks of a box in seconds: its own loops on a virtual clock, over the real ledger and spool, against fake peers."""
