"""The opener: what must open sealed objects for people, with the private key and without a network."""
