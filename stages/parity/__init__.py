"""Parity: how far prepared models and engines are from their original, and what of it every machine must find."""
