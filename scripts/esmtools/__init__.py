"""What the scripts, studies and benchmarks of this tree share. No program of esmscale needs it."""
