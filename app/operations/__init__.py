"""What an operator relies on: health that tells the truth, and retention."""
