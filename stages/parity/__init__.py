"""Parity: how far prepared models and engines are from their original, and which figures are equal on every machine."""
