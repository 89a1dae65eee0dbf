"""The studies of the paper and the thesis."""
