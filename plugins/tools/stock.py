"""Small parts by quantity: what every party has, and how it moved."""
