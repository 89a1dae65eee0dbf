"""What a step costs: ours, a peer's in the same run, and the arithmetic floor of this machine."""
