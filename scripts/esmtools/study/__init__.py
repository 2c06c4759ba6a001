"""Studies that the scripts lay out and sum up."""
