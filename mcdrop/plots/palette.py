"""Colours that remain apart for colour-blind readers and in print.

Source: Okabe & Ito 2008, "Color universal design", https://jfly.uni-koeln.de/color/.
"""

BLACK = "#000000"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#7F7F7F"
