"""For each rule of app/lab/refusals a request that is refused, and its neighbour that is not."""
