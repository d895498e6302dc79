"""What a lost or damaged tool costs whom, by clause. Pure functions."""
