"""The data sets of the demo and the examples, one module each.

A module is imported by name (`from mcdrop.data import digits`), so that scikit-learn and SciPy are loaded only by those
who use it. `digits`, `moons` and `sinusoid` need no files. `uci`, `images` and `co2` read theirs from the folder that
the environment variable `MCDROP_DATA` names, and download from the publishers what is not there.
"""
