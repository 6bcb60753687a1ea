"""The demo on scikit-learn's handwritten digits."""
