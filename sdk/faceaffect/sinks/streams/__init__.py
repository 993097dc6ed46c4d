"""Rows as messages to other programs: ZeroMQ, MQTT, Lab Streaming Layer, OSC."""
