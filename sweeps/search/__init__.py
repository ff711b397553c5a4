"""Search good settings of a fit: spaces, samplers, racing, and the study that is rebuilt from the ledger."""
