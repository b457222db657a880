"""The spool: everything a peer handed us and we acknowledged, sealed, named and durable."""
