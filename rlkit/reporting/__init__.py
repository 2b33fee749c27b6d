"""The report: runs beside each other on one HTML page."""
