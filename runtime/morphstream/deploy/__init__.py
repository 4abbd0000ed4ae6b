"""Deployed code: verified, checked, and switched to in one step."""
