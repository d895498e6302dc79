"""Warranty and fees (保修与收费): who pays, how much, on whose consent."""
