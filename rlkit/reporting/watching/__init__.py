"""The live page: runs as they are now, with the sections of a report, served to a browser."""
