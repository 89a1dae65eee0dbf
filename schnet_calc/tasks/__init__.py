"""What people do with a calculator: each task takes atoms and returns a result object."""
