"""Benchmark of the pipeline: latency, throughput and memory, with records that can be compared."""
