"""What people do with a calculator: each takes atoms and returns a result object."""
