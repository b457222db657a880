"""The configuration: `site.toml` as one frozen snapshot, what is wrong with it in plain words, and the copy that is in force."""
