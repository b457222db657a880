"""What the command line and the pages use: one façade over the daemons."""
