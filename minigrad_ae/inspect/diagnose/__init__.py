"""What went wrong with a gradient, in words; where NaN came from; where two recordings part."""
