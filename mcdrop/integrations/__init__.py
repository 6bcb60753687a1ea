"""Glue to other libraries, each in a file of its own that imports it: `mcdrop.integrations.keras`."""
