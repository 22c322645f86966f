"""One module a rule; each a pure function of requests and a reading."""
