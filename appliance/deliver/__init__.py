"""The outbox engine: which delivery goes next, over which association, and what every answer means for it."""
