"""Stand-ins that a test holds in its hand: a clock that it moves, peers that misbehave as they are told."""
