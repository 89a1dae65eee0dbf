"""SchNet's arithmetic compiled for the CPU."""
