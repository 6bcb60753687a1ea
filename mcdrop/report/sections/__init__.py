"""The sections of a report: each module makes one of a `Subject`."""
