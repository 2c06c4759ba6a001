"""Benchmarks: what they measure, and the tables that they print."""
