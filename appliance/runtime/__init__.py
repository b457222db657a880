"""What every daemon needs to live: clock, log, hints, requests, slots, life-cycle and the supervisor."""
