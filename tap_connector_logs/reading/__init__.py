"""What is still to be read, what to ask next, and what of each page is new. It knows no protocol."""
