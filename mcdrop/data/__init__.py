"""The data sets of the demo and the examples, one module each.

A module is imported by name (`from mcdrop.data import digits`), so that scikit-learn and SciPy are loaded only by those
who use it.
"""
