"""The demo on a curve of which a part was never measured."""
