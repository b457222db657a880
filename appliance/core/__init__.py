"""Words every other package uses: titles, UIDs, and what an error must say. Pure: no I/O."""
