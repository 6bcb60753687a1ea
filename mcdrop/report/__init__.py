"""Calibration reports: one page for people and one JSON file for programs about how far a prediction can be trusted.

The package is imported by name (`from mcdrop import report`), so that matplotlib and jinja2 are loaded only by those
who write reports.
"""

from mcdrop.report.record import Number as Number
from mcdrop.report.record import Pair as Pair
from mcdrop.report.record import Picture as Picture
from mcdrop.report.record import Report as Report
from mcdrop.report.record import Section as Section
from mcdrop.report.record import Sentence as Sentence
from mcdrop.report.record import Table as Table
from mcdrop.report.writing import write as write
