"""Pictures of results: each function takes an axis and returns it, and computes no result itself.

A module is imported by name (`from mcdrop.plots import forest`), so that matplotlib is loaded only by those who draw.
"""
