"""What evidence says about weights and exploration, and the sentences that say so."""
