"""Run ids, claims, manifests, the ledger and the store: nothing collides, nothing is lost, and both can be
checked."""
