"""What comes in: who is admitted, how much at a time, and how each object becomes durable before it is acknowledged."""
