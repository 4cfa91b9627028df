"""The reading: intervals still to be read, the next question, and what of each page is new. It knows no protocol."""
