"""How fast it is, measured beside the peer and the limit in the same run; `make bench` runs all of it."""
