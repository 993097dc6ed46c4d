"""Latency, throughput and memory of the pipeline, measured so that two measurements can be
compared.
"""
