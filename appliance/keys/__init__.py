"""The keys of the box: one root, what is derived from it, the pairs that seal objects, and the hospital's recovery recipient."""
