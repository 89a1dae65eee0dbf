"""SchNet's arithmetic as tensor operations."""
