"""Packages, repositories and pins as values, and their rules."""
