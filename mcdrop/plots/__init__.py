"""Pictures of results: each function takes an axis and returns it, and computes no result itself.

A module is imported by name (`from mcdrop.plots import forest`), so that matplotlib is loaded only by those who draw.

Text and what is neither of two series take `rcParams["text.color"]`, so that a picture reads on dark grounds under a
dark style. Names, units and captions are drawn as matplotlib draws text: what stands between two `$` is a formula. Bars
and bands of errors are two errors wide on each side.
"""
