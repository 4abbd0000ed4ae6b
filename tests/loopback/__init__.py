"""A hub on loopback: a real HTTP server over a real Git repository, for the Hub's own client."""
